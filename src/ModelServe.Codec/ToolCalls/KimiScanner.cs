using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Kimi K2's section of calls: each is <c>functions.name:number</c>, which is its id too, and a JSON object between markers.
/// </summary>
internal sealed class KimiScanner(AnswerSink sink) : CallScanner(sink)
{
    private const string CallBegin = "<|tool_call_begin|>";
    private const string Namespace = "functions.";
    private readonly RawArguments _arguments = new(sink);
    private readonly MarkerChoice _begin = new(CallBegin);
    private readonly MarkerChoice _argumentBegin = new("<|tool_call_argument_begin|>");
    private readonly MarkerChoice _end = new(CallBegin, "<|tool_calls_section_end|>", "<|tool_call_end|>");
    private readonly StringBuilder _id = new();
    private State _state;

    private enum State
    {
        BeforeCall,
        Id,
        ArgumentBegin,
        Arguments,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<|tool_calls_section_begin|>", CallBegin];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => Marker?.Length ?? 0;

    private MarkerChoice? Marker => _state switch
    {
        State.BeforeCall => _begin,
        State.ArgumentBegin => _argumentBegin,
        State.Tail => _end,
        _ => null,
    };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _begin.Reset();
        _end.Reset();
        BeginId();
        _state = opener == 0 ? State.BeforeCall : State.Id;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_state == State.Arguments)
        {
            ScanStatus arguments = _arguments.Step(value);
            _state = arguments == ScanStatus.Done ? State.Tail : _state;
            return arguments == ScanStatus.Done ? ScanStatus.More : arguments;
        }

        if (_state == State.Id && value == '<')
        {
            _state = State.ArgumentBegin;
        }
        else if (_state == State.Id)
        {
            _id.Append(value);
            return value != '\n' && _id.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
        }
        else if (Marker!.Length == 0 && TextRules.IsSpace(value))
        {
            return ScanStatus.More;
        }

        ScanStatus status = Marker!.Step(value);
        return status == ScanStatus.Done ? AfterMarker() : status;
    }

    private ScanStatus AfterMarker()
    {
        if (_state == State.ArgumentBegin)
        {
            string id = _id.ToString().Trim();
            string name = id.StartsWith(Namespace, StringComparison.Ordinal) ? id[Namespace.Length..] : id;
            int colon = name.LastIndexOf(':');
            _arguments.Reset(colon < 0 ? name : name[..colon], id);
            _state = State.Arguments;
            return ScanStatus.More;
        }

        if (_state == State.Tail && _end.Matched > 0)
        {
            return _end.Matched == 1 ? ScanStatus.Done : ScanStatus.More;
        }

        BeginId();
        return ScanStatus.More;
    }

    private void BeginId()
    {
        _argumentBegin.Reset();
        _id.Clear();
        _state = State.Id;
    }
}
