using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>Takes the reasoning at the start of an answer off and passes the rest on, a char at a time.</summary>
internal sealed class ReasoningSplitter
{
    private readonly AnswerSink _sink;
    private readonly AnswerMachine _rest;
    private readonly MarkerChoice _open;
    private readonly MarkerFinder _close;
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _released = new();
    private readonly bool _begun;
    private bool _skipsSpace;
    private State _state;

    /// <summary>A splitter for one answer; without markers all is passed on.</summary>
    /// <param name="sink">Where reasoning is reported.</param>
    /// <param name="rest">What takes the text after the reasoning.</param>
    /// <param name="markers">The markers, or null.</param>
    /// <param name="begun">Whether the prompt has opened the reasoning.</param>
    public ReasoningSplitter(AnswerSink sink, AnswerMachine rest, ReasoningMarkers? markers, bool begun)
    {
        _sink = sink;
        _rest = rest;
        _open = new MarkerChoice(markers?.Open ?? " ");
        _close = new MarkerFinder(markers is null ? [] : [markers.Close], holdSpace: true);
        _begun = begun;
        _state = markers is null ? State.After : State.Before;
    }

    private enum State
    {
        Before,
        Inside,
        After,
    }

    /// <summary>Takes the next char.</summary>
    public void Step(char value)
    {
        switch (_state)
        {
            case State.After:
                _rest.Step(value);
                break;
            case State.Inside:
                Inside(value);
                break;
            default:
                Before(value);
                break;
        }
    }

    /// <summary>Ends the text.</summary>
    public void Finish()
    {
        if (_state == State.Before)
        {
            Begin();
        }

        if (_state == State.Inside)
        {
            _sink.Reasoning(_close.Held);
        }

        _rest.Finish();
    }

    private void Before(char value)
    {
        if (_open.Length == 0 && TextRules.IsSpace(value))
        {
            _held.Append(value);
            return;
        }

        switch (_open.Step(value))
        {
            case ScanStatus.More:
                _held.Append(value);
                break;
            case ScanStatus.Done:
                _held.Clear();
                _skipsSpace = true;
                _state = State.Inside;
                break;
            default:
                Begin();
                Step(value);
                break;
        }
    }

    // No opening marker: what was held is the beginning of the reasoning, or of the rest.
    private void Begin()
    {
        _state = _begun ? State.Inside : State.After;
        _skipsSpace = true;
        string held = _held.ToString();
        _held.Clear();
        foreach (char value in held)
        {
            Step(value);
        }
    }

    private void Inside(char value)
    {
        if (_skipsSpace && TextRules.IsSpace(value))
        {
            return;
        }

        _skipsSpace = false;
        int marker = _close.Step(value, _released);
        _sink.Reasoning(_released);
        if (marker >= 0)
        {
            _close.Clear();
            _rest.SkipSpace();
            _state = State.After;
        }
    }
}
