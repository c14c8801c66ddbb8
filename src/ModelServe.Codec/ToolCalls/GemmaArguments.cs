using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Turns Gemma 4's notation of an object into JSON, a char at a time: keys are bare or quoted by <c>&lt;|"|&gt;</c>, strings are quoted
/// so and know no escapes; numbers, true, false, null (also None) are bare. Constant time a char; nesting is bounded.
/// </summary>
internal sealed class GemmaArguments
{
    private const string Quote = "<|\"|>";
    private readonly MarkerChoice _open = new(Quote);
    private readonly MarkerFinder _close = new([Quote], holdSpace: false);
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _released = new();
    private readonly List<HashSet<string>?> _levels = [];
    private bool _isKey;
    private State _state;

    private enum State
    {
        Start,
        FirstKey,
        Key,
        BareKey,
        KeyEnd,
        Quote,
        Text,
        FirstItem,
        Value,
        Bare,
        AfterValue,
    }

    /// <summary>Begins before the opening brace.</summary>
    public void Reset()
    {
        _levels.Clear();
        _open.Reset();
        _close.Clear();
        _state = State.Start;
    }

    /// <summary>Takes one char and appends its JSON; <see cref="ScanStatus.Done"/> with the closing brace.</summary>
    public ScanStatus Step(char value, StringBuilder json)
    {
        switch (_state)
        {
            case State.Quote:
                return InQuote(value, json);
            case State.Text:
                return InText(value, json);
            case State.BareKey when value is not (':' or '<' or '{' or '}' or ',' or '\n'):
                _word.Append(value);
                return _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
            case State.BareKey:
                return value == ':' && AddKey(_word.ToString().Trim(), json) ? Colon(json) : ScanStatus.Failed;
            case State.Bare when value is not (',' or '}' or ']') && !TextRules.IsSpace(value):
                _word.Append(value);
                return _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
            case State.Bare:
                if (!AddWord(json))
                {
                    return ScanStatus.Failed;
                }

                _state = State.AfterValue;
                break;
        }

        return TextRules.IsSpace(value) ? ScanStatus.More : Between(value, json);
    }

    private ScanStatus Between(char value, StringBuilder json)
    {
        switch (_state)
        {
            case State.Start:
                return value == '{' ? Enter(isObject: true, json) : ScanStatus.Failed;
            case State.FirstKey when value == '}':
                return Leave(isObject: true, json);
            case State.FirstKey or State.Key:
                _isKey = true;
                return BeginWord(value, State.BareKey);
            case State.KeyEnd:
                return value == ':' ? Colon(json) : ScanStatus.Failed;
            case State.FirstItem when value == ']':
                return Leave(isObject: false, json);
            case State.AfterValue when value == ',':
                json.Append(", ");
                _state = _levels[^1] is null ? State.Value : State.Key;
                return ScanStatus.More;
            case State.AfterValue:
                return value is '}' or ']' ? Leave(value == '}', json) : ScanStatus.Failed;
            case State.Value or State.FirstItem when value is '{' or '[':
                return Enter(value == '{', json);
            default:
                _isKey = false;
                return BeginWord(value, State.Bare);
        }
    }

    private ScanStatus BeginWord(char value, State bare)
    {
        _word.Clear();
        if (value == '<')
        {
            _state = State.Quote;
            return _open.Step(value);
        }

        _word.Append(value);
        _state = bare;
        return value is ':' or ',' or '{' or '}' or '[' or ']' ? ScanStatus.Failed : ScanStatus.More;
    }

    private ScanStatus InQuote(char value, StringBuilder json)
    {
        ScanStatus status = _open.Step(value);
        if (status != ScanStatus.Done)
        {
            return status;
        }

        if (!_isKey)
        {
            json.Append('"');
        }

        _state = State.Text;
        return ScanStatus.More;
    }

    private ScanStatus InText(char value, StringBuilder json)
    {
        int marker = _close.Step(value, _released);
        if (_isKey)
        {
            _word.Append(_released);
        }
        else
        {
            for (int index = 0; index < _released.Length; index++)
            {
                JsonText.AppendEscaped(json, _released[index]);
            }
        }

        _released.Clear();
        if (marker < 0)
        {
            return !_isKey || _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
        }

        _close.Clear();
        _state = _isKey ? State.KeyEnd : State.AfterValue;
        if (_isKey)
        {
            return AddKey(_word.ToString(), json) ? ScanStatus.More : ScanStatus.Failed;
        }

        json.Append('"');
        return ScanStatus.More;
    }

    private bool AddKey(string key, StringBuilder json)
    {
        json.Append(JsonText.Quote(key));
        return key.Length > 0 && _levels[^1]!.Add(key);
    }

    private ScanStatus Colon(StringBuilder json)
    {
        json.Append(": ");
        _state = State.Value;
        return ScanStatus.More;
    }

    private bool AddWord(StringBuilder json)
    {
        string word = _word.ToString() switch { "None" => "null", "True" => "true", "False" => "false", string other => other };
        json.Append(word);
        return JsonScanner.IsValue(word);
    }

    private ScanStatus Enter(bool isObject, StringBuilder json)
    {
        if (_levels.Count >= TextRules.MaxDepth)
        {
            return ScanStatus.Failed;
        }

        _levels.Add(isObject ? new HashSet<string>(StringComparer.Ordinal) : null);
        json.Append(isObject ? '{' : '[');
        _state = isObject ? State.FirstKey : State.FirstItem;
        return ScanStatus.More;
    }

    private ScanStatus Leave(bool isObject, StringBuilder json)
    {
        if (isObject != _levels[^1] is not null)
        {
            return ScanStatus.Failed;
        }

        _levels.RemoveAt(_levels.Count - 1);
        json.Append(isObject ? '}' : ']');
        _state = State.AfterValue;
        return _levels.Count == 0 ? ScanStatus.Done : ScanStatus.More;
    }
}
