using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// The messages of gpt-oss: a header (role, recipient, channel, constraint), <c>&lt;|message|&gt;</c>, a body. A recipient makes a
/// call, whose body must be a JSON object; the analysis channel is reasoning; all else is content.
/// </summary>
internal sealed class HarmonyScanner : CallScanner
{
    private const int MaxHeader = 512;
    private const string Channel = "<|channel|>";
    private const string Start = "<|start|>";
    private readonly RawArguments _arguments;
    private readonly StringBuilder _header = new();
    private readonly StringBuilder _released = new();
    private readonly MarkerChoice _recipient = new("to=");
    private readonly MarkerFinder _headerEnd = new(["<|message|>", "<|end|>", "<|return|>", "<|call|>"], holdSpace: false);
    private readonly MarkerFinder _bodyEnd = new([Start, Channel, "<|end|>", "<|return|>", "<|call|>"], holdSpace: false);
    private readonly MarkerChoice _callEnd = new(Start, Channel, "<|end|>", "<|return|>", "<|call|>");
    private bool _reasoning;
    private State _state;

    /// <summary>A scanner.</summary>
    public HarmonyScanner(AnswerSink sink)
        : base(sink) => _arguments = new RawArguments(sink);

    private enum State
    {
        Recipient,
        Header,
        Body,
        Arguments,
        Tail,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = [Start, Channel, "<|message|>", "<|end|>", "<|return|>", "<|call|>"];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.Tail;

    /// <inheritdoc/>
    public override int Unmatched => _state switch { State.Tail => _callEnd.Length, State.Recipient => _recipient.Length, _ => 0 };

    /// <inheritdoc/>
    public override bool OpensBare(char value, bool atStart) => atStart && value == 't';

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _header.Clear();
        _headerEnd.Clear();
        _recipient.Reset();
        _callEnd.Reset();
        if (opener > 2)
        {
            return ScanStatus.Done;
        }

        _state = opener < 0 ? State.Recipient : State.Header;
        if (opener is 0 or 1)
        {
            _header.Append(Openers[opener]);
        }
        else if (opener == 2)
        {
            BeginBody();
        }

        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        switch (_state)
        {
            case State.Recipient:
                ScanStatus read = _recipient.Step(value);
                if (read == ScanStatus.Done)
                {
                    _header.Append("to=");
                    _state = State.Header;
                    return ScanStatus.More;
                }

                return read;
            case State.Header:
                return InHeader(value);
            case State.Body:
                return InBody(value);
            case State.Arguments:
                ScanStatus status = _arguments.Step(value);
                _state = status == ScanStatus.Done ? State.Tail : _state;
                return status == ScanStatus.Done ? ScanStatus.More : status;
            default:
                return InTail(value);
        }
    }

    /// <inheritdoc/>
    public override bool Finish()
    {
        if (_state != State.Body)
        {
            return AfterCall;
        }

        Report(_bodyEnd.Held);
        _bodyEnd.Clear();
        return true;
    }

    private ScanStatus InHeader(char value)
    {
        int marker = _headerEnd.Step(value, _header);
        if (marker == 0)
        {
            _headerEnd.Clear();
            return EndHeader(_header.ToString());
        }

        return marker > 0 || _header.Length > MaxHeader ? ScanStatus.Failed : ScanStatus.More;
    }

    private ScanStatus EndHeader(string header)
    {
        int channel = header.LastIndexOf(Channel, StringComparison.Ordinal);
        string name = channel < 0 ? "" : Word(header, channel + Channel.Length);
        int recipient = header.IndexOf("to=", StringComparison.Ordinal);
        string tool = recipient < 0 ? "" : Word(header, recipient + 3);
        if (tool.Length == 0 || tool == "assistant")
        {
            _reasoning = name == "analysis";
            BeginBody();
            return ScanStatus.More;
        }

        const string prefix = "functions.";
        _arguments.Reset(tool.StartsWith(prefix, StringComparison.Ordinal) ? tool[prefix.Length..] : tool, id: null);
        _state = State.Arguments;
        return ScanStatus.More;
    }

    private static string Word(string header, int begin)
    {
        int end = begin;
        while (end < header.Length && !TextRules.IsSpace(header[end]) && header[end] != '<')
        {
            end++;
        }

        return header[begin..end];
    }

    private void BeginBody()
    {
        Sink.Unsettled.Clear();
        _bodyEnd.Clear();
        _state = State.Body;
    }

    private ScanStatus InBody(char value)
    {
        int marker = _bodyEnd.Step(value, _released);
        Sink.Unsettled.Clear();
        Report(_released);
        return marker < 0 ? ScanStatus.More : AfterMarker(marker);
    }

    private void Report(StringBuilder text)
    {
        if (_reasoning)
        {
            Sink.Reasoning(text);
        }
        else
        {
            Sink.Content(text);
        }
    }

    private ScanStatus AfterMarker(int marker)
    {
        _reasoning = false;
        ScanStatus status = Open(marker > 1 ? Openers.Count - 1 : marker);
        if (status == ScanStatus.More)
        {
            Sink.Unsettled.Clear().Append(_header);
        }

        return status;
    }

    private ScanStatus InTail(char value)
    {
        if (_callEnd.Length == 0 && TextRules.IsSpace(value))
        {
            return ScanStatus.More;
        }

        ScanStatus status = _callEnd.Step(value);
        return status == ScanStatus.Done ? AfterMarker(_callEnd.Matched) : status;
    }
}
