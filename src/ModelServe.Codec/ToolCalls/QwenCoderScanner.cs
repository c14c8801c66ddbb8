using System.Text;
using ModelServe.Codec.Streaming;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>&lt;tool_call&gt;&lt;function=name&gt;&lt;parameter=key&gt;value&lt;/parameter&gt;…&lt;/function&gt;&lt;/tool_call&gt;</c>; the outer
/// element may be missing. One line break on each side of a value belongs to the markup. Values are text but where the tool's
/// schema says otherwise.
/// </summary>
internal sealed class QwenCoderScanner(AnswerSink sink, ToolSchemas schemas) : CallScanner(sink)
{
    private readonly MarkerChoice _function = new("<function=");
    private readonly MarkerChoice _parameter = new("<parameter=", "</function>");
    private readonly MarkerChoice _end = new("<function=", "</tool_call>");
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _value = new();
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);
    private StopStringMatcher? _valueEnd;
    private string _tool = "";
    private JsonTypes _types;
    private bool _valueBegins;
    private State _state;

    private enum State
    {
        BeforeFunction,
        Name,
        BeforeParameter,
        Key,
        Value,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<tool_call>", "<function="];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => Marker?.Length ?? 0;

    private MarkerChoice? Marker => _state switch
    {
        State.BeforeFunction => _function,
        State.BeforeParameter => _parameter,
        State.Tail => _end,
        _ => null,
    };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _function.Reset();
        _parameter.Reset();
        _end.Reset();
        _word.Clear();
        _state = opener == 0 ? State.BeforeFunction : State.Name;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_state == State.Value)
        {
            InValue(value);
            return ScanStatus.More;
        }

        if (_state is State.Name or State.Key)
        {
            if (value == '>' && _word.Length > 0)
            {
                return _state == State.Name ? BeginCall() : BeginValue();
            }

            _word.Append(value);
            return value is '<' or '>' or '\n' || _word.Length > TextRules.MaxName ? ScanStatus.Failed : ScanStatus.More;
        }

        if (TextRules.IsSpace(value) && Marker!.Length == 0)
        {
            return ScanStatus.More;
        }

        ScanStatus status = Marker!.Step(value);
        return status == ScanStatus.Done ? AfterMarker(Marker.Matched) : status;
    }

    private ScanStatus AfterMarker(int matched)
    {
        _word.Clear();
        switch (_state)
        {
            case State.BeforeParameter when matched == 1:
                Sink.Arguments('}');
                Sink.EndCall();
                _state = State.Tail;
                return ScanStatus.More;
            case State.BeforeParameter:
                _state = State.Key;
                return ScanStatus.More;
            case State.Tail when matched == 1:
                return ScanStatus.Done;
            default:
                _state = State.Name;
                return ScanStatus.More;
        }
    }

    private ScanStatus BeginCall()
    {
        _tool = _word.ToString();
        _keys.Clear();
        Sink.StartCall(_tool, id: null);
        Sink.Arguments('{');
        _state = State.BeforeParameter;
        return ScanStatus.More;
    }

    private ScanStatus BeginValue()
    {
        string key = _word.ToString();
        if (!_keys.Add(key))
        {
            return ScanStatus.Failed;
        }

        _types = schemas.TypesOf(_tool, key);
        Sink.Arguments((_keys.Count == 1 ? "" : ", ") + JsonText.Quote(key) + (_types == JsonTypes.Text ? ": \"" : ": "));
        _valueEnd = new StopStringMatcher(["\n</parameter>", "</parameter>"], includeStop: false);
        _valueBegins = true;
        _value.Clear();
        _state = State.Value;
        return ScanStatus.More;
    }

    private void InValue(char value)
    {
        if (_valueBegins)
        {
            _valueBegins = false;
            if (value == '\n')
            {
                return;
            }
        }

        bool ended = _valueEnd!.Append([value], _value);
        if (_types == JsonTypes.Text)
        {
            for (int index = 0; index < _value.Length; index++)
            {
                JsonText.AppendEscaped(Sink.ArgumentText(), _value[index]);
            }

            _value.Clear();
        }

        if (ended)
        {
            Sink.Arguments(_types == JsonTypes.Text ? "\"" : ToolSchemas.ToJson(_value.ToString(), _types));
            _state = State.BeforeParameter;
        }
    }
}
