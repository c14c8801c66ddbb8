using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>&lt;invoke name="…"&gt;&lt;parameter name="…"&gt;value&lt;/parameter&gt;…&lt;/invoke&gt;</c>, several in an outer element. DeepSeek puts
/// a prefix before every element's name and says with <c>string="true"</c> whether a value is text; else the tool's schema does.
/// </summary>
/// <param name="sink">Where calls are reported.</param>
/// <param name="schemas">The types of the tools' parameters.</param>
/// <param name="prefix">What stands before <c>invoke</c> and <c>parameter</c>.</param>
/// <param name="outer">The names that the outer element may have.</param>
internal sealed class InvokeScanner(AnswerSink sink, ToolSchemas schemas, string prefix, string[] outer) : CallScanner(sink)
{
    private const JsonTypes AnyJson = JsonTypes.Null | JsonTypes.Boolean | JsonTypes.Number | JsonTypes.Array | JsonTypes.Object;
    private readonly MarkerChoice _invoke = new([$"<{prefix}invoke name=\"", .. outer.Select(name => $"</{name}>")]);
    private readonly MarkerChoice _parameter = new($"<{prefix}parameter name=\"", $"</{prefix}invoke>");
    private readonly MarkerChoice _tagEnd = new(">", "string=\"true\">", "string=\"false\">");
    private readonly MarkupArguments _arguments = new(sink, $"</{prefix}parameter>");
    private readonly StringBuilder _word = new();
    private string _tool = "";
    private bool _any;
    private State _state;

    private enum State
    {
        Invoke,
        Name,
        NameEnd,
        Parameter,
        Key,
        KeyEnd,
        Value,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = [.. outer.Select(name => $"<{name}>")];

    /// <inheritdoc/>
    public override bool AfterCall => _any && _state == State.Invoke;

    /// <inheritdoc/>
    public override int Unmatched => Marker?.Length ?? 0;

    private MarkerChoice? Marker => _state switch
    {
        State.Invoke => _invoke,
        State.NameEnd or State.KeyEnd => _tagEnd,
        State.Parameter => _parameter,
        _ => null,
    };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _invoke.Reset();
        _parameter.Reset();
        _tagEnd.Reset();
        _word.Clear();
        _any = false;
        _state = State.Invoke;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        if (_state == State.Value)
        {
            _state = _arguments.Step(value) ? State.Parameter : _state;
            return ScanStatus.More;
        }

        if (_state is State.Name or State.Key)
        {
            if (value == '"' && _word.Length > 0)
            {
                _state = _state == State.Name ? State.NameEnd : State.KeyEnd;
                return ScanStatus.More;
            }

            _word.Append(value);
            return value is '"' or '<' or '>' or '\n' || _word.Length > TextRules.MaxName ? ScanStatus.Failed : ScanStatus.More;
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
        switch (_state)
        {
            case State.Invoke when matched > 0:
                return _any ? ScanStatus.Done : ScanStatus.Failed;
            case State.Invoke:
                _word.Clear();
                _state = State.Name;
                return ScanStatus.More;
            case State.NameEnd:
                _tool = _word.ToString();
                _state = State.Parameter;
                return matched == 0 && _arguments.Begin(_tool) ? ScanStatus.More : ScanStatus.Failed;
            case State.Parameter when matched == 0:
                _word.Clear();
                _state = State.Key;
                return ScanStatus.More;
            case State.Parameter:
                _arguments.End();
                _any = true;
                _state = State.Invoke;
                return ScanStatus.More;
            default:
                string key = _word.ToString();
                JsonTypes types = matched switch { 0 => schemas.TypesOf(_tool, key), 1 => JsonTypes.Text, _ => AnyJson };
                _state = State.Value;
                return _arguments.BeginValue(key, types) ? ScanStatus.More : ScanStatus.Failed;
        }
    }
}
