namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Recognises one JSON value (RFC 8259), a char at a time, and stops at the first char that cannot belong to it. Takes constant
/// time a char and a bit a level; nesting is bounded by <see cref="TextRules.MaxDepth"/>.
/// </summary>
internal sealed class JsonScanner
{
    private readonly bool[] _isObject = new bool[TextRules.MaxDepth + 1];
    private Place _place;
    private int _count;
    private string _word = "";

    /// <summary>Where the scanner stands between two chars.</summary>
    public enum Place
    {
        /// <summary>Before the value.</summary>
        Start,

        /// <summary>After an opening brace.</summary>
        FirstKey,

        /// <summary>After a comma in an object.</summary>
        NextKey,

        /// <summary>Inside a key.</summary>
        Key,

        /// <summary>After a key.</summary>
        Colon,

        /// <summary>Where a value must come.</summary>
        Value,

        /// <summary>After an opening bracket.</summary>
        FirstItem,

        /// <summary>After a value.</summary>
        AfterValue,

        /// <summary>Inside a string value.</summary>
        Text,

        /// <summary>After a backslash in a key.</summary>
        KeyEscape,

        /// <summary>After a backslash in a string value.</summary>
        TextEscape,

        /// <summary>Within the four digits of an escape in a key.</summary>
        KeyHex,

        /// <summary>Within the four digits of an escape in a string value.</summary>
        TextHex,

        /// <summary>Inside true, false or null.</summary>
        Word,

        /// <summary>After a number's minus.</summary>
        Minus,

        /// <summary>After a leading zero.</summary>
        Zero,

        /// <summary>Inside a number's whole part.</summary>
        Whole,

        /// <summary>After the decimal point.</summary>
        Point,

        /// <summary>Inside the fraction.</summary>
        Fraction,

        /// <summary>After the e.</summary>
        Exponent,

        /// <summary>After the sign of the exponent.</summary>
        ExponentSign,

        /// <summary>Inside the exponent.</summary>
        ExponentDigits,

        /// <summary>The outermost value is complete.</summary>
        End,
    }

    /// <summary>Open objects and arrays.</summary>
    public int Depth { get; private set; }

    /// <summary>Where the scanner stands.</summary>
    public Place At => _place;

    /// <summary>Begins anew.</summary>
    public void Reset()
    {
        _place = Place.Start;
        Depth = 0;
    }

    /// <summary>Whether the text is one value of JSON, white space around it allowed.</summary>
    public static bool IsValue(ReadOnlySpan<char> text)
    {
        var scanner = new JsonScanner();
        foreach (char value in text)
        {
            if (scanner.Step(value) == ScanStatus.Failed)
            {
                return false;
            }
        }

        return scanner._place == Place.End || (scanner.Depth == 0 && scanner.EndsNumber());
    }

    /// <summary>Takes one char. <see cref="ScanStatus.Done"/> comes with the brace or bracket that closes the outermost value.</summary>
    public ScanStatus Step(char value)
    {
        if (EndsNumber() && !IsNumberPart(value))
        {
            EndValue();
        }

        bool accepted = _place switch
        {
            Place.Start or Place.Value => TextRules.IsSpace(value) || BeginValue(value),
            Place.FirstItem => TextRules.IsSpace(value) || (value == ']' ? Close(isObject: false) : BeginValue(value)),
            Place.FirstKey => TextRules.IsSpace(value) || (value == '}' ? Close(isObject: true) : Go(value == '"', Place.Key)),
            Place.NextKey => TextRules.IsSpace(value) || Go(value == '"', Place.Key),
            Place.Key or Place.Text => InString(value),
            Place.KeyEscape => Escape(value, Place.Key, Place.KeyHex),
            Place.TextEscape => Escape(value, Place.Text, Place.TextHex),
            Place.KeyHex => Hex(value, Place.Key),
            Place.TextHex => Hex(value, Place.Text),
            Place.Colon => TextRules.IsSpace(value) || Go(value == ':', Place.Value),
            Place.AfterValue => TextRules.IsSpace(value) || AfterValue(value),
            Place.Word => InWord(value),
            Place.End => TextRules.IsSpace(value),
            _ => InNumber(value),
        };
        return !accepted ? ScanStatus.Failed : _place == Place.End ? ScanStatus.Done : ScanStatus.More;
    }

    private static bool IsNumberPart(char value) => char.IsAsciiDigit(value) || value is '.' or 'e' or 'E' or '+' or '-';

    private bool EndsNumber() => _place is Place.Zero or Place.Whole or Place.Fraction or Place.ExponentDigits;

    private bool Go(bool accepted, Place place)
    {
        _place = accepted ? place : _place;
        return accepted;
    }

    private bool BeginValue(char value)
    {
        switch (value)
        {
            case '{' or '[':
                if (Depth == TextRules.MaxDepth)
                {
                    return false;
                }

                _isObject[Depth++] = value == '{';
                return Go(true, value == '{' ? Place.FirstKey : Place.FirstItem);
            case '"':
                return Go(true, Place.Text);
            case 't' or 'f' or 'n':
                _word = value == 't' ? "true" : value == 'f' ? "false" : "null";
                _count = 1;
                return Go(true, Place.Word);
            case '-':
                return Go(true, Place.Minus);
            case '0':
                return Go(true, Place.Zero);
            default:
                return Go(char.IsAsciiDigit(value), Place.Whole);
        }
    }

    private bool Close(bool isObject)
    {
        if (Depth == 0 || _isObject[Depth - 1] != isObject)
        {
            return false;
        }

        Depth--;
        EndValue();
        return true;
    }

    private void EndValue() => _place = Depth == 0 ? Place.End : Place.AfterValue;

    private bool InString(char value)
    {
        bool isKey = _place == Place.Key;
        if (value == '"')
        {
            if (isKey)
            {
                _place = Place.Colon;
            }
            else
            {
                EndValue();
            }
        }
        else if (value == '\\')
        {
            _place = isKey ? Place.KeyEscape : Place.TextEscape;
        }

        return value >= ' ';
    }

    private bool Escape(char value, Place back, Place hex)
    {
        _count = 0;
        return value == 'u' ? Go(true, hex) : Go(value is '"' or '\\' or '/' or 'b' or 'f' or 'n' or 'r' or 't', back);
    }

    private bool Hex(char value, Place back)
    {
        _place = ++_count == 4 ? back : _place;
        return char.IsAsciiHexDigit(value);
    }

    private bool AfterValue(char value)
    {
        bool isObject = _isObject[Depth - 1];
        return value == ',' ? Go(true, isObject ? Place.NextKey : Place.Value)
            : value is '}' or ']' && Close(isObject: value == '}');
    }

    private bool InWord(char value)
    {
        if (value != _word[_count])
        {
            return false;
        }

        if (++_count == _word.Length)
        {
            EndValue();
        }

        return true;
    }

    private bool InNumber(char value)
    {
        bool digit = char.IsAsciiDigit(value);
        return _place switch
        {
            Place.Minus => Go(digit, value == '0' ? Place.Zero : Place.Whole),
            Place.Zero or Place.Whole or Place.Fraction when value is 'e' or 'E' => Go(true, Place.Exponent),
            Place.Zero => Go(value == '.', Place.Point),
            Place.Whole => digit || Go(value == '.', Place.Point),
            Place.Point => Go(digit, Place.Fraction),
            Place.Fraction or Place.ExponentDigits => digit,
            Place.Exponent => Go(digit, Place.ExponentDigits) || Go(value is '+' or '-', Place.ExponentSign),
            _ => Go(digit, Place.ExponentDigits),
        };
    }
}
