using System.Globalization;
using System.Text.Json.Nodes;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.Tests.ToolCalls;

/// <summary>Parses answers with ids that count, so that results can be compared.</summary>
internal static class Answers
{
    /// <summary>Two tools, one with typed parameters.</summary>
    public static JsonArray Tools => (JsonArray)JsonNode.Parse("""
        [{"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {
          "count": {"type": "integer"}, "score": {"type": ["number", "null"]}, "sure": {"type": "boolean"},
          "tags": {"type": "array"}, "who": {"anyOf": [{"type": "object"}, {"type": "null"}]}, "note": {"type": "string"}}}}}]
        """)!;

    /// <summary>Options with counting ids.</summary>
    public static AnswerOptions Options(bool begun = false)
    {
        int next = 0;
        return new AnswerOptions { ReasoningBegun = begun, Tools = Tools, NewCallId = () => "id" + (next++).ToString(CultureInfo.InvariantCulture) };
    }

    /// <summary>The answer as one line: content | reasoning | name(arguments)….</summary>
    public static string Read(string format, string text, bool begun = false) =>
        Show(AnswerParser.Parse(text, AnswerFormat.Parse(format), Options(begun)));

    /// <summary>The parsed answer as one line.</summary>
    public static string Show(ParsedAnswer answer) =>
        answer.Content + "|" + answer.Reasoning + "|" + string.Concat(answer.ToolCalls.Select(call => $"{call.Name}:{call.Arguments};"));

    /// <summary>All events of a text that comes in pieces of the given lengths, neighbours of one kind put together.</summary>
    public static List<AnswerEvent> Events(string format, string text, int[] lengths, bool begun = false)
    {
        var parser = new AnswerParser(AnswerFormat.Parse(format), Options(begun));
        var events = new List<AnswerEvent>();
        int position = 0;
        for (int cut = 0; position < text.Length; cut++)
        {
            int length = Math.Min(lengths[cut % lengths.Length], text.Length - position);
            parser.Append(text.AsSpan(position, length), events);
            position += length;
        }

        parser.Complete(events);
        return Joined(events);
    }

    private static List<AnswerEvent> Joined(List<AnswerEvent> events)
    {
        var joined = new List<AnswerEvent>();
        foreach (AnswerEvent piece in events)
        {
            bool text = piece.Kind is AnswerEventKind.Content or AnswerEventKind.Reasoning or AnswerEventKind.CallArguments;
            if (text && joined.Count > 0 && joined[^1].Kind == piece.Kind)
            {
                joined[^1] = joined[^1] with { Text = joined[^1].Text + piece.Text };
            }
            else
            {
                joined.Add(piece);
            }
        }

        return joined;
    }
}
