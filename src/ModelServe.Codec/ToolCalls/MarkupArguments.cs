using System.Text;
using ModelServe.Codec.Streaming;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Reports a call whose arguments are written as elements, one a parameter, with values that are plain text unless the parameter's
/// type says otherwise. Text values are reported as they come, others when they are complete.
/// </summary>
/// <param name="sink">Where the call is reported.</param>
/// <param name="ends">What ends a value, the longer before the shorter.</param>
internal sealed class MarkupArguments(AnswerSink sink, params string[] ends)
{
    private readonly StringBuilder _value = new();
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);
    private readonly bool _dropsLineBreak = ends[0].StartsWith('\n');
    private StopStringMatcher? _end;
    private JsonTypes _types;
    private bool _begins;

    /// <summary>Starts a call; false where the request has no such tool.</summary>
    public bool Begin(string tool)
    {
        _keys.Clear();
        if (!sink.StartCall(tool, id: null))
        {
            return false;
        }

        sink.Arguments('{');
        return true;
    }

    /// <summary>Begins a value; false where the call has the parameter already.</summary>
    /// <param name="key">The parameter.</param>
    /// <param name="types">What the value may be besides text.</param>
    public bool BeginValue(string key, JsonTypes types)
    {
        if (!_keys.Add(key))
        {
            return false;
        }

        _types = types;
        sink.Arguments((_keys.Count == 1 ? "" : ", ") + JsonText.Quote(key) + (types == JsonTypes.Text ? ": \"" : ": "));
        _end = new StopStringMatcher(ends, includeStop: false);
        _begins = true;
        _value.Clear();
        return true;
    }

    /// <summary>Takes one char of a value or of what ends it; true with the last char of the end.</summary>
    public bool Step(char value)
    {
        bool first = _begins;
        _begins = false;
        if (first && _dropsLineBreak && value == '\n')
        {
            return false;
        }

        bool ended = _end!.Append([value], _value);
        if (_types == JsonTypes.Text)
        {
            for (int index = 0; index < _value.Length; index++)
            {
                JsonText.AppendEscaped(sink.ArgumentText(), _value[index]);
            }

            _value.Clear();
        }

        if (ended)
        {
            sink.Arguments(_types == JsonTypes.Text ? "\"" : ToolSchemas.ToJson(_value.ToString(), _types));
        }

        return ended;
    }

    /// <summary>Ends the call.</summary>
    public void End()
    {
        sink.Arguments('}');
        sink.EndCall();
    }
}
