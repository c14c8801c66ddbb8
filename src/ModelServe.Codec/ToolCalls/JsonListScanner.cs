namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// A JSON list of calls behind a marker: Granite and Phi-4-mini's <c>&lt;|tool_call|&gt;</c>, Apriel's <c>&lt;tool_calls&gt;</c>,
/// Command-R's <c>&lt;|START_ACTION|&gt;</c> (which also marks where its text begins and ends). The closing marker may be missing.
/// </summary>
internal sealed class JsonListScanner(AnswerSink sink) : CallScanner(sink)
{
    private const int CallOpeners = 3;
    private readonly CallObject _call = new(sink);
    private readonly MarkerChoice _end = new("<|/tool_call|>", "</tool_calls>", "<|END_ACTION|>");
    private State _state;

    private enum State
    {
        BeforeList,
        FirstItem,
        Item,
        Object,
        AfterItem,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } =
        ["<|tool_call|>", "<tool_calls>", "<|START_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"];

    /// <inheritdoc/>
    public override bool AfterCall => _state is State.AfterItem or State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => _state == State.Tail ? _end.Length : 0;

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _end.Reset();
        _state = State.BeforeList;
        return opener < CallOpeners ? ScanStatus.More : ScanStatus.Done;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_state == State.Object)
        {
            ScanStatus status = _call.Step(value);
            _state = status == ScanStatus.Done ? State.AfterItem : _state;
            return status == ScanStatus.Done ? ScanStatus.More : status;
        }

        if (TextRules.IsSpace(value) && _end.Length == 0)
        {
            return ScanStatus.More;
        }

        switch (_state)
        {
            case State.BeforeList:
                return Go(value == '[', State.FirstItem);
            case State.AfterItem when value == ',':
                return Go(true, State.Item);
            case State.FirstItem or State.AfterItem when value == ']':
                return Go(true, State.Tail);
            case State.FirstItem or State.Item:
                _call.Reset(strict: false);
                _state = State.Object;
                return _call.Step(value);
            case State.Tail:
                return _end.Step(value);
            default:
                return ScanStatus.Failed;
        }
    }

    private ScanStatus Go(bool accepted, State next)
    {
        _state = accepted ? next : _state;
        return accepted ? ScanStatus.More : ScanStatus.Failed;
    }
}
