using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary><c>&lt;|tool_call&gt;call:name{key:value,…}&lt;tool_call|&gt;</c>, one after another.</summary>
internal sealed class GemmaScanner(AnswerSink sink) : CallScanner(sink)
{
    private readonly MarkerChoice _head = new("call:");
    private readonly MarkerChoice _end = new("<tool_call|>");
    private readonly GemmaArguments _arguments = new();
    private readonly StringBuilder _name = new();
    private State _state;

    private enum State
    {
        Head,
        Name,
        Arguments,
        End,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<|tool_call>"];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.End;

    /// <inheritdoc/>
    public override int Unmatched => _state switch { State.Head => _head.Length, State.End => _end.Length, _ => 0 };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _head.Reset();
        _end.Reset();
        _name.Clear();
        _state = State.Head;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        switch (_state)
        {
            case State.Head:
                ScanStatus head = _head.Step(value);
                _state = head == ScanStatus.Done ? State.Name : _state;
                return head == ScanStatus.Done ? ScanStatus.More : head;
            case State.Name when value == '{' && _name.Length > 0:
                _state = State.Arguments;
                _arguments.Reset();
                return Sink.StartCall(_name.ToString(), id: null) ? InArguments(value) : ScanStatus.Failed;
            case State.Name:
                _name.Append(value);
                bool fits = !TextRules.IsSpace(value) && value is not ('<' or '{' or '}') && _name.Length <= TextRules.MaxName;
                return fits ? ScanStatus.More : ScanStatus.Failed;
            case State.Arguments:
                return InArguments(value);
            default:
                return TextRules.IsSpace(value) && _end.Length == 0 ? ScanStatus.More : _end.Step(value);
        }
    }

    private ScanStatus InArguments(char value)
    {
        ScanStatus status = _arguments.Step(value, Sink.ArgumentText());
        if (status != ScanStatus.Done)
        {
            return status;
        }

        Sink.EndCall();
        _state = State.End;
        return ScanStatus.More;
    }
}
