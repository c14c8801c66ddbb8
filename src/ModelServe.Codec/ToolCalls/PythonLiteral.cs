using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Turns one Python literal into JSON, a char at a time: strings, numbers, True, False, None (and JSON's own words), lists, tuples,
/// dicts with string keys. Each char costs constant time; nesting is bounded by <see cref="TextRules.MaxDepth"/>.
/// </summary>
internal sealed class PythonLiteral
{
    private readonly char[] _closers = new char[TextRules.MaxDepth];
    private readonly StringBuilder _word = new();
    private int _depth;
    private State _state;
    private char _quote;
    private bool _isKey;
    private int _digits;
    private int _code;

    private enum State
    {
        Value,
        FirstItem,
        NextItem,
        Text,
        Escape,
        Hex,
        Word,
        Colon,
        AfterItem,
    }

    /// <summary>Begins before the literal.</summary>
    public void Reset()
    {
        _depth = 0;
        _state = State.Value;
        _isKey = false;
    }

    /// <summary>Whether the text is one literal; its JSON is appended in any case.</summary>
    public static bool TryConvert(string text, StringBuilder output)
    {
        var literal = new PythonLiteral();
        literal.Reset();
        ScanStatus status = ScanStatus.More;
        foreach (char value in text.AsSpan().Trim())
        {
            if (status is not ScanStatus.More)
            {
                return false;
            }

            status = literal.Step(value, output);
        }

        return status == ScanStatus.Done || (status == ScanStatus.More && literal.Step(' ', output) == ScanStatus.DoneBefore);
    }

    /// <summary>
    /// Takes one char and appends JSON. <see cref="ScanStatus.DoneBefore"/> where a number or word ended before the char.
    /// </summary>
    public ScanStatus Step(char value, StringBuilder output)
    {
        if (_state == State.Word)
        {
            if (char.IsAsciiLetterOrDigit(value) || value is '.' or '_' or '+' or '-')
            {
                _word.Append(value);
                return _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
            }

            if (!AppendWord(output))
            {
                return ScanStatus.Failed;
            }

            _state = State.AfterItem;
            if (_depth == 0)
            {
                return ScanStatus.DoneBefore;
            }
        }

        return _state switch
        {
            State.Text => InText(value, output),
            State.Escape => InEscape(value, output),
            State.Hex => InHex(value, output),
            _ when TextRules.IsSpace(value) => ScanStatus.More,
            State.Value => BeginValue(value, output),
            State.FirstItem or State.NextItem => BeginItem(value, output),
            State.Colon => Go(value == ':', State.Value),
            _ => AfterItem(value, output),
        };
    }

    private ScanStatus Go(bool accepted, State next)
    {
        _state = next;
        return accepted ? ScanStatus.More : ScanStatus.Failed;
    }

    private ScanStatus BeginItem(char value, StringBuilder output)
    {
        if (value == _closers[_depth - 1])
        {
            return Close(output);
        }

        if (_state == State.NextItem)
        {
            output.Append(", ");
        }

        _isKey = _closers[_depth - 1] == '}';
        return _isKey && value is not ('"' or '\'') ? ScanStatus.Failed : BeginValue(value, output);
    }

    private ScanStatus BeginValue(char value, StringBuilder output)
    {
        switch (value)
        {
            case '"' or '\'':
                _quote = value;
                output.Append('"');
                return Go(true, State.Text);
            case '[' or '(' or '{':
                if (_depth == _closers.Length)
                {
                    return ScanStatus.Failed;
                }

                _closers[_depth++] = value switch { '[' => ']', '(' => ')', _ => '}' };
                output.Append(value == '{' ? '{' : '[');
                return Go(true, State.FirstItem);
            default:
                _word.Clear().Append(value);
                return Go(char.IsAsciiLetterOrDigit(value) || value is '-' or '+' or '.', State.Word);
        }
    }

    private ScanStatus AfterItem(char value, StringBuilder output) =>
        value == _closers[_depth - 1] ? Close(output) : Go(value == ',', State.NextItem);

    private ScanStatus Close(StringBuilder output)
    {
        output.Append(_closers[--_depth] == '}' ? '}' : ']');
        _state = State.AfterItem;
        return _depth == 0 ? ScanStatus.Done : ScanStatus.More;
    }

    private ScanStatus InText(char value, StringBuilder output)
    {
        if (value == '\\')
        {
            return Go(true, State.Escape);
        }

        if (value != _quote)
        {
            JsonText.AppendEscaped(output, value);
            return ScanStatus.More;
        }

        output.Append('"');
        if (_isKey)
        {
            _isKey = false;
            output.Append(": ");
            return Go(true, State.Colon);
        }

        _state = State.AfterItem;
        return _depth == 0 ? ScanStatus.Done : ScanStatus.More;
    }

    private ScanStatus InEscape(char value, StringBuilder output)
    {
        if (value is 'x' or 'u' or 'U')
        {
            _digits = value switch { 'x' => 2, 'u' => 4, _ => 8 };
            _code = 0;
            return Go(true, State.Hex);
        }

        char? plain = value switch
        {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\b',
            'f' => '\f',
            'a' => '\a',
            'v' => '\v',
            '0' => '\0',
            '\\' or '\'' or '"' => value,
            _ => null,
        };
        if (plain is { } known)
        {
            JsonText.AppendEscaped(output, known);
        }
        else if (value != '\n')
        {
            // Python keeps the backslash of an escape that it does not know.
            output.Append("\\\\");
            JsonText.AppendEscaped(output, value);
        }

        return Go(true, State.Text);
    }

    private ScanStatus InHex(char value, StringBuilder output)
    {
        if (!char.IsAsciiHexDigit(value) || _code > 0xFFFFFF)
        {
            return ScanStatus.Failed;
        }

        _code = _code << 4 | Convert.ToInt32(value.ToString(), 16);
        if (--_digits > 0)
        {
            return ScanStatus.More;
        }

        if (_code > 0x10FFFF)
        {
            return ScanStatus.Failed;
        }

        if (_code <= char.MaxValue)
        {
            JsonText.AppendEscaped(output, (char)_code);
        }
        else
        {
            output.Append(char.ConvertFromUtf32(_code));
        }

        return Go(true, State.Text);
    }

    private bool AppendWord(StringBuilder output)
    {
        string word = _word.ToString();
        string? json = word switch
        {
            "True" or "true" => "true",
            "False" or "false" => "false",
            "None" or "null" => "null",
            _ => Number(word),
        };
        output.Append(json);
        return json is not null;
    }

    // Python also writes 1., .5 and +1.
    private static string? Number(string word)
    {
        string text = word.StartsWith('+') ? word[1..] : word;
        text = text.StartsWith('.') ? "0" + text : text.StartsWith("-.", StringComparison.Ordinal) ? "-0" + text[1..] : text;
        text = text.EndsWith('.') ? text + "0" : text;
        return text.Length > 0 && (char.IsAsciiDigit(text[0]) || text[0] == '-') && JsonScanner.IsValue(text) ? text : null;
    }
}
