using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>&lt;tool_call&gt;&lt;function=name&gt;&lt;parameter=key&gt;value&lt;/parameter&gt;…&lt;/function&gt;&lt;/tool_call&gt;</c>; the outer
/// element may be missing. One line break on each side of a value belongs to the markup. Values are text but where the tool's
/// schema says otherwise.
/// </summary>
/// <param name="sink">Where calls are reported.</param>
/// <param name="schemas">The types of the tools' parameters.</param>
/// <param name="outer">The name of the outer element; Seed-OSS has one of its own.</param>
internal sealed class QwenCoderScanner(AnswerSink sink, ToolSchemas schemas, string outer = "tool_call") : CallScanner(sink)
{
    private readonly MarkerChoice _function = new("<function=");
    private readonly MarkerChoice _parameter = new("<parameter=", "</function>");
    private readonly MarkerChoice _end = new("<function=", $"</{outer}>");
    private readonly StringBuilder _word = new();
    private readonly MarkupArguments _arguments = new(sink, "\n</parameter>", "</parameter>");
    private string _tool = "";
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
    public override IReadOnlyList<string> Openers { get; } = [$"<{outer}>", "<function="];

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
            _state = _arguments.Step(value) ? State.BeforeParameter : _state;
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
                _arguments.End();
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
        _state = State.BeforeParameter;
        return _arguments.Begin(_tool) ? ScanStatus.More : ScanStatus.Failed;
    }

    private ScanStatus BeginValue()
    {
        string key = _word.ToString();
        _state = State.Value;
        return _arguments.BeginValue(key, schemas.TypesOf(_tool, key)) ? ScanStatus.More : ScanStatus.Failed;
    }
}
