namespace ModelServe.Codec.ToolCalls;

/// <summary>Reads a call's arguments where they stand alone: one JSON object, white space before it allowed.</summary>
internal sealed class RawArguments(AnswerSink sink)
{
    private readonly JsonScanner _json = new();
    private string _name = "";
    private string? _id;

    /// <summary>Begins before the object; the call starts at its brace.</summary>
    public void Reset(string name, string? id)
    {
        _json.Reset();
        _name = name;
        _id = id;
    }

    /// <summary>Takes one char; with <see cref="ScanStatus.Done"/> the call has ended.</summary>
    public ScanStatus Step(char value)
    {
        if (!sink.InCall)
        {
            if (TextRules.IsSpace(value))
            {
                return ScanStatus.More;
            }

            if (value != '{' || _name.Length is 0 or > TextRules.MaxName || !sink.StartCall(_name, _id))
            {
                return ScanStatus.Failed;
            }
        }

        ScanStatus status = _json.Step(value);
        if (status != ScanStatus.Failed)
        {
            sink.Arguments(value);
        }

        if (status == ScanStatus.Done)
        {
            sink.EndCall();
        }

        return status;
    }
}
