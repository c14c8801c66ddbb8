namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>[f(a=1), g(b="x")]</c> as the start of the answer, or after <c>&lt;|python_start|&gt;</c> or <c>&lt;|tool_call_start|&gt;</c>.
/// </summary>
internal sealed class PythonicScanner(AnswerSink sink) : CallScanner(sink)
{
    private readonly PythonCall _call = new(sink);
    private readonly MarkerChoice _end = new("<|python_end|>", "<|tool_call_end|>");
    private State _state;

    private enum State
    {
        BeforeList,
        BeforeCall,
        Call,
        AfterItem,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<|python_start|>", "<|tool_call_start|>"];

    /// <inheritdoc/>
    public override bool AfterCall => _state is State.AfterItem or State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => _state == State.Tail ? _end.Length : 0;

    /// <inheritdoc/>
    public override bool OpensBare(char value, bool atStart) => atStart && value == '[';

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _state = State.BeforeList;
        _end.Reset();
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_state == State.Call)
        {
            ScanStatus status = _call.Step(value);
            if (status == ScanStatus.Done)
            {
                _state = State.AfterItem;
                return ScanStatus.More;
            }

            return status;
        }

        if (TextRules.IsSpace(value) && (_state != State.Tail || _end.Length == 0))
        {
            return ScanStatus.More;
        }

        switch (_state)
        {
            case State.BeforeList:
                _state = State.BeforeCall;
                return value == '[' ? ScanStatus.More : ScanStatus.Failed;
            case State.BeforeCall:
                _call.Reset(suffix: "");
                _state = State.Call;
                return _call.Step(value);
            case State.AfterItem:
                bool goesOn = value == ',';
                if (goesOn || value == ']')
                {
                    _state = goesOn ? State.BeforeCall : State.Tail;
                    return ScanStatus.More;
                }

                return ScanStatus.Failed;
            default:
                return _end.Step(value);
        }
    }
}
