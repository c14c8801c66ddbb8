namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>{"name": …, "parameters": {…}}</c> at the start of the answer or of a line, further ones after white space or a semicolon;
/// after <c>&lt;|python_tag|&gt;</c> the same, or <c>tool.call(key="value")</c>.
/// </summary>
internal sealed class LlamaScanner(AnswerSink sink) : CallScanner(sink)
{
    private readonly CallObject _object = new(sink);
    private readonly PythonCall _python = new(sink);
    private State _state;

    private enum State
    {
        AfterTag,
        Object,
        Python,
        Tail,
        AfterSemicolon,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<|python_tag|>"];

    /// <inheritdoc/>
    public override bool AfterCall => _state is State.Tail or State.AfterSemicolon;

    /// <inheritdoc/>
    public override bool OpensBare(char value, bool atStart) => value == '{';

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _object.Reset(strict: true);
        _state = opener < 0 ? State.Object : State.AfterTag;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        switch (_state)
        {
            case State.Object:
                return Ended(_object.Step(value));
            case State.Python:
                return Ended(_python.Step(value));
            case State.Tail when value == ';':
                _state = State.AfterSemicolon;
                return ScanStatus.More;
            default:
                return TextRules.IsSpace(value) ? ScanStatus.More : Begin(value);
        }
    }

    private ScanStatus Begin(char value)
    {
        if (value == '{')
        {
            _object.Reset(strict: true);
            _state = State.Object;
            return _object.Step(value);
        }

        if (_state == State.AfterTag && TextRules.BeginsName(value))
        {
            _python.Reset(suffix: ".call");
            _state = State.Python;
            return _python.Step(value);
        }

        return ScanStatus.Failed;
    }

    private ScanStatus Ended(ScanStatus status)
    {
        if (status != ScanStatus.Done)
        {
            return status;
        }

        _state = State.Tail;
        return ScanStatus.More;
    }
}
