namespace ModelServe.Codec.ToolCalls;

/// <summary><c>&lt;tool_call&gt;{"name": …, "arguments": {…}}&lt;/tool_call&gt;</c>, several objects or blocks in a row allowed.</summary>
internal sealed class HermesScanner(AnswerSink sink) : CallScanner(sink)
{
    private readonly CallObject _call = new(sink);
    private readonly MarkerChoice _end = new("</tool_call>");
    private bool _inTail;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<tool_call>"];

    /// <inheritdoc/>
    public override bool AfterCall => _inTail;

    /// <inheritdoc/>
    public override int Unmatched => _inTail ? _end.Length : 0;

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        BeginObject();
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_inTail && _end.Length == 0)
        {
            if (TextRules.IsSpace(value))
            {
                return ScanStatus.More;
            }

            if (value == '{')
            {
                BeginObject();
            }
        }

        if (_inTail)
        {
            return _end.Step(value);
        }

        ScanStatus status = _call.Step(value);
        _inTail = status == ScanStatus.Done;
        return _inTail ? ScanStatus.More : status;
    }

    private void BeginObject()
    {
        _inTail = false;
        _end.Reset();
        _call.Reset(strict: false);
    }
}
