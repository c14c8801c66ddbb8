using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>&lt;tool_call&gt;name&lt;arg_key&gt;key&lt;/arg_key&gt;&lt;arg_value&gt;value&lt;/arg_value&gt;…&lt;/tool_call&gt;</c>, with or
/// without line breaks between. Values are text but where the tool's schema says otherwise.
/// </summary>
internal sealed class GlmScanner(AnswerSink sink, ToolSchemas schemas) : CallScanner(sink)
{
    private readonly MarkerChoice _next = new("<arg_key>", "</tool_call>");
    private readonly MarkerChoice _keyEnd = new("</arg_key>");
    private readonly MarkerChoice _valueBegin = new("<arg_value>");
    private readonly MarkupArguments _arguments = new(sink, "</arg_value>");
    private readonly StringBuilder _word = new();
    private string _tool = "";
    private State _state;

    private enum State
    {
        Name,
        Next,
        Key,
        KeyEnd,
        BeforeValue,
        Value,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["<tool_call>"];

    /// <inheritdoc/>
    public override bool AfterCall => false;

    /// <inheritdoc/>
    public override int Unmatched => Marker?.Length ?? 0;

    private MarkerChoice? Marker => _state switch
    {
        State.Next => _next,
        State.KeyEnd => _keyEnd,
        State.BeforeValue => _valueBegin,
        _ => null,
    };

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _word.Clear();
        _next.Reset();
        _keyEnd.Reset();
        _valueBegin.Reset();
        _state = State.Name;
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        switch (_state)
        {
            case State.Name:
                return InName(value);
            case State.Key when value == '<':
                _state = State.KeyEnd;
                break;
            case State.Key:
                _word.Append(value);
                return value != '\n' && _word.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
            case State.Value:
                _state = _arguments.Step(value) ? State.Next : _state;
                return ScanStatus.More;
        }

        if (TextRules.IsSpace(value) && Marker!.Length == 0)
        {
            return ScanStatus.More;
        }

        ScanStatus status = Marker!.Step(value);
        return status == ScanStatus.Done ? AfterMarker() : status;
    }

    private ScanStatus InName(char value)
    {
        if (_word.Length == 0 && TextRules.IsSpace(value))
        {
            return ScanStatus.More;
        }

        if (_word.Length > 0 && (value == '<' || TextRules.IsSpace(value)))
        {
            _tool = _word.ToString();
            _state = State.Next;
            return value == '<' ? _next.Step(value) : ScanStatus.More;
        }

        _word.Append(value);
        return value is '<' or '{' || _word.Length > TextRules.MaxName ? ScanStatus.Failed : ScanStatus.More;
    }

    private ScanStatus AfterMarker()
    {
        if (_state == State.KeyEnd)
        {
            _state = State.BeforeValue;
            return _word.Length > 0 ? ScanStatus.More : ScanStatus.Failed;
        }

        if (_state == State.BeforeValue)
        {
            string key = _word.ToString();
            _state = State.Value;
            return _arguments.BeginValue(key, schemas.TypesOf(_tool, key)) ? ScanStatus.More : ScanStatus.Failed;
        }

        // The call is reported only now: a name alone may be any text.
        if (!Sink.InCall && !_arguments.Begin(_tool))
        {
            return ScanStatus.Failed;
        }

        if (_next.Matched == 1)
        {
            _arguments.End();
            return ScanStatus.Done;
        }

        _word.Clear();
        _state = State.Key;
        return ScanStatus.More;
    }
}
