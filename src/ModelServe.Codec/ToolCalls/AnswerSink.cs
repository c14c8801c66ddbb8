using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>Collects what scanners find as events, neighbours of one kind put together, and keeps the text that is not settled yet.</summary>
/// <param name="newId">Makes ids of calls.</param>
/// <param name="known">The names that a call may have; null allows any.</param>
internal sealed class AnswerSink(Func<string> newId, IReadOnlySet<string>? known = null)
{
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _unsettled = new();
    private ICollection<AnswerEvent> _output = [];
    private AnswerEventKind _kind;
    private int _calls;

    /// <summary>Whether a call has started and not ended.</summary>
    public bool InCall { get; private set; }

    /// <summary>What was taken since the last thing that is certain; becomes content if the call fails.</summary>
    public StringBuilder Unsettled => _unsettled;

    /// <summary>Where events go from now on.</summary>
    public void Begin(ICollection<AnswerEvent> output) => _output = output;

    /// <summary>Adds text for the user.</summary>
    public void Content(StringBuilder text) => Add(AnswerEventKind.Content, text);

    /// <summary>Adds reasoning.</summary>
    public void Reasoning(StringBuilder text) => Add(AnswerEventKind.Reasoning, text);

    /// <summary>Starts a call; false, and nothing is started, where no tool has that name.</summary>
    public bool StartCall(string name, string? id)
    {
        if (known is not null && !known.Contains(name))
        {
            return false;
        }

        Flush();
        InCall = true;
        _output.Add(new AnswerEvent(AnswerEventKind.CallStarted, name, _calls, string.IsNullOrEmpty(id) ? newId() : id));
        return true;
    }

    /// <summary>Adds a char of the arguments' JSON.</summary>
    public void Arguments(char value) => Text(AnswerEventKind.CallArguments).Append(value);

    /// <summary>Adds to the arguments' JSON.</summary>
    public void Arguments(string text) => Text(AnswerEventKind.CallArguments).Append(text);

    /// <summary>The buffer of the arguments' JSON.</summary>
    public StringBuilder ArgumentText() => Text(AnswerEventKind.CallArguments);

    /// <summary>Completes the call: its text is settled.</summary>
    public void EndCall()
    {
        Flush();
        _output.Add(new AnswerEvent(AnswerEventKind.CallEnded, "", _calls++));
        InCall = false;
        _unsettled.Clear();
    }

    /// <summary>Takes back the call that has started, if one has.</summary>
    public void AbandonCall()
    {
        if (InCall)
        {
            Flush();
            _output.Add(new AnswerEvent(AnswerEventKind.CallAbandoned, "", _calls++));
            InCall = false;
        }
    }

    /// <summary>Hands over what was put together so far.</summary>
    public void Flush()
    {
        if (_text.Length > 0)
        {
            _output.Add(new AnswerEvent(_kind, _text.ToString(), _kind == AnswerEventKind.CallArguments ? _calls : -1));
            _text.Clear();
        }
    }

    private void Add(AnswerEventKind kind, StringBuilder text)
    {
        if (text.Length > 0)
        {
            Text(kind).Append(text);
            text.Clear();
        }
    }

    private StringBuilder Text(AnswerEventKind kind)
    {
        if (kind != _kind)
        {
            Flush();
            _kind = kind;
        }

        return _text;
    }
}
