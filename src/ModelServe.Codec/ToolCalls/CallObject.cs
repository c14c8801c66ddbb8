using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Reads a JSON object that holds a call: name (Command-R: tool_name), and arguments or parameters (an object, or its text as a string), in any order.
/// The arguments are reported as they come, in the model's own spelling.
/// </summary>
internal sealed class CallObject(AnswerSink sink)
{
    private readonly JsonScanner _json = new();
    private readonly StringBuilder _captured = new();
    private readonly StringBuilder _early = new();
    private string? _name;
    private string? _id;
    private string _key = "";
    private Part _part;
    private bool _strict;
    private bool _hasArguments;

    private enum Part
    {
        None,
        Key,
        Name,
        Id,
        Arguments,
        ArgumentText,
        Skipped,
    }

    /// <summary>Begins before the opening brace.</summary>
    /// <param name="strict">Whether a key that no call has ends it: where nothing but its shape tells a call from text.</param>
    public void Reset(bool strict)
    {
        _json.Reset();
        _early.Clear();
        _name = null;
        _id = null;
        _part = Part.None;
        _strict = strict;
        _hasArguments = false;
    }

    /// <summary>Takes one char; with <see cref="ScanStatus.Done"/> the call has ended.</summary>
    public ScanStatus Step(char value)
    {
        JsonScanner.Place before = _json.At;
        int depth = _json.Depth;
        ScanStatus status = _json.Step(value);
        if (status == ScanStatus.Failed || (before == JsonScanner.Place.Start && value != '{' && !TextRules.IsSpace(value)))
        {
            return ScanStatus.Failed;
        }

        bool fits = _part == Part.None || _part == Part.Skipped ? Begin(before, depth, value) : Continue(value);
        if (!fits)
        {
            return ScanStatus.Failed;
        }

        if (status == ScanStatus.Done)
        {
            if (!_hasArguments || _name is null)
            {
                return ScanStatus.Failed;
            }

            sink.EndCall();
        }

        return status;
    }

    private bool Begin(JsonScanner.Place before, int depth, char value)
    {
        if (depth != 1)
        {
            return true;
        }

        if (before is JsonScanner.Place.FirstKey or JsonScanner.Place.NextKey && value == '"')
        {
            _part = Part.Key;
            _captured.Clear();
        }
        else if (before == JsonScanner.Place.Value && !TextRules.IsSpace(value))
        {
            return BeginValue(value);
        }

        return true;
    }

    private bool BeginValue(char value)
    {
        _captured.Clear();
        switch (_key)
        {
            case "name" or "tool_name":
                _part = Part.Name;
                return value == '"' && _name is null;
            case "id" when value == '"':
                _part = Part.Id;
                return true;
            case "arguments" or "parameters":
                if (_hasArguments || value is not ('{' or '"'))
                {
                    return false;
                }

                _hasArguments = true;
                _part = value == '{' ? Part.Arguments : Part.ArgumentText;
                return value != '{' || Report(value);
            default:
                _part = Part.Skipped;
                return !_strict || _key is "id" or "type";
        }
    }

    private bool Continue(char value)
    {
        if (_part == Part.Arguments)
        {
            _part = _json.Depth == 1 ? Part.None : Part.Arguments;
            return Report(value);
        }

        bool ended = _json.At is JsonScanner.Place.Colon or JsonScanner.Place.AfterValue;
        if (!ended)
        {
            _captured.Append(value);
            return _part == Part.ArgumentText || _captured.Length <= TextRules.MaxName;
        }

        Part part = _part;
        _part = Part.None;
        string text = JsonText.Unescape(_captured);
        switch (part)
        {
            case Part.Key:
                _key = text;
                return true;
            case Part.Id:
                _id = text;
                return true;
            case Part.Name:
                return Name(text);
            default:
                return text.AsSpan().TrimStart().StartsWith('{') && JsonScanner.IsValue(text) && Report(text);
        }
    }

    private bool Name(string text)
    {
        _name = text;
        if (text.Length == 0)
        {
            return false;
        }

        if (!_hasArguments)
        {
            return true;
        }

        if (!sink.StartCall(text, _id))
        {
            return false;
        }

        sink.ArgumentText().Append(_early);
        return true;
    }

    private bool Report(char value)
    {
        StringBuilder? target = Target();
        target?.Append(value);
        return target is not null;
    }

    private bool Report(string text)
    {
        StringBuilder? target = Target();
        target?.Append(text);
        return target is not null;
    }

    // Arguments that come before the name wait for it; a name that no tool has ends the call.
    private StringBuilder? Target()
    {
        if (_name is null)
        {
            return _early;
        }

        return sink.InCall || sink.StartCall(_name, _id) ? sink.ArgumentText() : null;
    }
}
