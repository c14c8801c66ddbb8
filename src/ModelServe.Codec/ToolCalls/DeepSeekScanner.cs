using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// DeepSeek's calls: V3 and R1 write <c>function</c>, separator, name and a fenced JSON object, V3.1 name, separator and the object.
/// </summary>
internal sealed class DeepSeekScanner(AnswerSink sink) : CallScanner(sink)
{
    private const string CallBegin = "<｜tool▁call▁begin｜>";
    private const string CallsEnd = "<｜tool▁calls▁end｜>";
    private readonly RawArguments _arguments = new(sink);
    private readonly MarkerChoice _begin = new(CallBegin);
    private readonly MarkerChoice _separator = new("<｜tool▁sep｜>");
    private readonly MarkerChoice _fence = new("```json", "{");
    private readonly MarkerChoice _end = new(CallBegin, CallsEnd, "```", "<｜tool▁call▁end｜>");
    private readonly StringBuilder _name = new();
    private string _head = "";
    private State _state;

    private enum State
    {
        BeforeCall,
        Head,
        Separator,
        AfterSeparator,
        Name,
        Fence,
        Arguments,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<｜tool▁calls▁begin｜>", CallBegin];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => Marker?.Length ?? 0;

    private MarkerChoice? Marker => _state switch
    {
        State.BeforeCall => _begin,
        State.Separator => _separator,
        State.Fence => _fence,
        State.Tail => _end,
        _ => null,
    };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        BeginHead();
        _state = opener == 0 ? State.BeforeCall : State.Head;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (TextRules.IsSpace(value) && (_state == State.AfterSeparator || Marker is { Length: 0 }))
        {
            return ScanStatus.More;
        }

        switch (_state)
        {
            case State.Head when value == '<':
                _state = State.Separator;
                return _separator.Step(value);
            case State.Head:
                _name.Append(value);
                return value != '\n' && _name.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
            case State.AfterSeparator:
                return AfterSeparator(value);
            case State.Name when value != '\n':
                _name.Append(value);
                return _name.Length <= TextRules.MaxName && value != '<' ? ScanStatus.More : ScanStatus.Failed;
            case State.Name:
                _state = State.Fence;
                return ScanStatus.More;
            case State.Arguments:
                ScanStatus status = _arguments.Step(value);
                _state = status == ScanStatus.Done ? State.Tail : _state;
                return status == ScanStatus.Done ? ScanStatus.More : status;
            default:
                return InMarker(value);
        }
    }

    private ScanStatus AfterSeparator(char value)
    {
        if (value == '{')
        {
            return BeginArguments(_head, value);
        }

        _name.Clear().Append(value);
        _state = State.Name;
        return value == '<' ? ScanStatus.Failed : ScanStatus.More;
    }

    private ScanStatus InMarker(char value)
    {
        ScanStatus status = Marker!.Step(value);
        if (status != ScanStatus.Done)
        {
            return status;
        }

        switch (_state)
        {
            case State.Separator:
                _head = _name.ToString().Trim();
                _state = State.AfterSeparator;
                return ScanStatus.More;
            case State.Fence:
                return BeginArguments(_name.ToString().Trim(), value);
        }

        int matched = Marker.Matched;
        if (matched == 0)
        {
            BeginHead();
        }

        return matched == 1 ? ScanStatus.Done : ScanStatus.More;
    }

    // The brace itself, or what ended the fence.
    private ScanStatus BeginArguments(string name, char value)
    {
        _arguments.Reset(name, id: null);
        _state = State.Arguments;
        return value == '{' ? _arguments.Step(value) : ScanStatus.More;
    }

    private void BeginHead()
    {
        _name.Clear();
        _begin.Reset();
        _separator.Reset();
        _fence.Reset();
        _end.Reset();
        _state = State.Head;
    }
}
