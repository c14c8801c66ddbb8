using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>Reads <c>name(key=literal, …)</c> and reports it with its arguments as JSON, as they come. Nothing is evaluated.</summary>
internal sealed class PythonCall(AnswerSink sink)
{
    private readonly StringBuilder _word = new();
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);
    private readonly PythonLiteral _literal = new();
    private string _suffix = "";
    private string _name = "";
    private State _state;

    private enum State
    {
        Name,
        BeforeKey,
        Key,
        AfterKey,
        Value,
        AfterValue,
    }

    /// <summary>Begins before the name.</summary>
    /// <param name="suffix">What must stand between the tool's name and the parenthesis, such as <c>.call</c>.</param>
    public void Reset(string suffix)
    {
        _suffix = suffix;
        _word.Clear();
        _keys.Clear();
        _state = State.Name;
    }

    /// <summary>Takes one char; with <see cref="ScanStatus.Done"/>, at the closing parenthesis, the call has ended.</summary>
    public ScanStatus Step(char value)
    {
        if (_state == State.Value)
        {
            ScanStatus status = _literal.Step(value, sink.ArgumentText());
            if (status is ScanStatus.More or ScanStatus.Failed)
            {
                return status;
            }

            _state = State.AfterValue;
            if (status == ScanStatus.Done)
            {
                return ScanStatus.More;
            }
        }

        return _state switch
        {
            State.Name => InName(value),
            State.Key => InKey(value),
            _ when TextRules.IsSpace(value) => ScanStatus.More,
            State.BeforeKey when value == ')' => End(),
            State.BeforeKey => BeginKey(value),
            State.AfterKey => AfterKey(value),
            _ when value == ')' => End(),
            _ => Go(value == ',', State.BeforeKey),
        };
    }

    private ScanStatus Go(bool accepted, State next)
    {
        _state = next;
        return accepted ? ScanStatus.More : ScanStatus.Failed;
    }

    private ScanStatus InName(char value)
    {
        if (value == '(' && _word.Length > _suffix.Length && _word[^1] != '.')
        {
            string name = _word.ToString();
            _name = name[..^_suffix.Length];
            return Go(name.EndsWith(_suffix, StringComparison.Ordinal), State.BeforeKey);
        }

        bool first = _word.Length == 0 || _word[^1] == '.';
        bool fits = TextRules.BeginsName(value) || (!first && (value == '.' || TextRules.ContinuesName(value)));
        _word.Append(value);
        return fits && _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
    }

    private ScanStatus BeginKey(char value)
    {
        _word.Clear().Append(value);
        return Go(TextRules.BeginsName(value), State.Key);
    }

    private ScanStatus InKey(char value)
    {
        if (TextRules.ContinuesName(value))
        {
            _word.Append(value);
            return _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
        }

        return TextRules.IsSpace(value) ? Go(true, State.AfterKey) : AfterKey(value);
    }

    private ScanStatus AfterKey(char value)
    {
        string key = _word.ToString();
        if (value != '=' || !_keys.Add(key))
        {
            return ScanStatus.Failed;
        }

        if (!Start())
        {
            return ScanStatus.Failed;
        }

        sink.Arguments(_keys.Count == 1 ? "\"" : ", \"");
        sink.Arguments(key);
        sink.Arguments("\": ");
        _literal.Reset();
        return Go(true, State.Value);
    }

    private ScanStatus End()
    {
        if (!Start())
        {
            return ScanStatus.Failed;
        }

        sink.Arguments('}');
        sink.EndCall();
        return ScanStatus.Done;
    }

    private bool Start()
    {
        if (sink.InCall)
        {
            return true;
        }

        if (!sink.StartCall(_name, id: null))
        {
            return false;
        }

        sink.Arguments('{');
        return true;
    }
}
