using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// <c>[TOOL_CALLS][{"name": …, "arguments": {…}}, …]</c>, or <c>[TOOL_CALLS]name[ARGS]{…}</c> with or without
/// <c>[CALL_ID]id</c> and <c>[ARGS]</c>, once a call.
/// </summary>
internal sealed class MistralScanner(AnswerSink sink) : CallScanner(sink)
{
    private readonly CallObject _object = new(sink);
    private readonly RawArguments _arguments = new(sink);
    private readonly MarkerChoice _marker = new("[ARGS]", "[CALL_ID]");
    private readonly StringBuilder _name = new();
    private readonly StringBuilder _id = new();
    private State _state;

    private enum State
    {
        Start,
        Item,
        Object,
        AfterItem,
        Name,
        Id,
        Marker,
        Arguments,
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Openers { get; } = ["[TOOL_CALLS]"];

    /// <inheritdoc/>
    public override bool AfterCall => _state == State.AfterItem;

    /// <inheritdoc/>
    public override int Unmatched => _state == State.Marker ? _marker.Length : 0;

    /// <inheritdoc/>
    public override ScanStatus Open(int opener)
    {
        _state = State.Start;
        _name.Clear();
        _id.Clear();
        _marker.Reset();
        return ScanStatus.More;
    }

    /// <inheritdoc/>
    public override ScanStatus Step(char value)
    {
        switch (_state)
        {
            case State.Object:
                ScanStatus status = _object.Step(value);
                _state = status == ScanStatus.Done ? State.AfterItem : _state;
                return status == ScanStatus.Done ? ScanStatus.More : status;
            case State.Arguments:
                return _arguments.Step(value);
            case State.Marker:
                return InMarker(value);
            case State.Name or State.Id:
                return InName(value);
            default:
                return TextRules.IsSpace(value) ? ScanStatus.More : Between(value);
        }
    }

    private ScanStatus Between(char value)
    {
        switch (_state)
        {
            case State.Start when value == '[':
                _state = State.Item;
                return ScanStatus.More;
            case State.Start:
                _state = State.Name;
                return InName(value);
            case State.Item:
                _object.Reset(strict: false);
                _state = State.Object;
                return _object.Step(value);
            case State.AfterItem when value == ',':
                _state = State.Item;
                return ScanStatus.More;
            default:
                return value == ']' ? ScanStatus.Done : ScanStatus.Failed;
        }
    }

    private ScanStatus InName(char value)
    {
        StringBuilder target = _state == State.Name ? _name : _id;
        if (value == '[')
        {
            _state = State.Marker;
            return _marker.Step(value);
        }

        if (value == '{')
        {
            BeginArguments();
            return _arguments.Step(value);
        }

        if (TextRules.IsSpace(value))
        {
            return ScanStatus.More;
        }

        bool fits = char.IsLetterOrDigit(value) || value is '_' or '-' or '.' or ':' or '/';
        target.Append(value);
        return fits && target.Length <= TextRules.MaxName ? ScanStatus.More : ScanStatus.Failed;
    }

    private ScanStatus InMarker(char value)
    {
        ScanStatus status = _marker.Step(value);
        if (status != ScanStatus.Done)
        {
            return status;
        }

        if (_marker.Matched == 1)
        {
            _state = State.Id;
        }
        else
        {
            BeginArguments();
        }

        return ScanStatus.More;
    }

    private void BeginArguments()
    {
        _arguments.Reset(_name.ToString(), _id.ToString());
        _state = State.Arguments;
    }
}
