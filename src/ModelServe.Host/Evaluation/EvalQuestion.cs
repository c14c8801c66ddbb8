using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;

namespace ModelServe.Host.Evaluation;

/// <summary>One question of an evaluation file and how its answer is judged.</summary>
/// <remarks>
/// A line of JSON: <c>messages</c>, and at least one of <c>expected</c> (text; compared as JSON values when
/// <c>json_schema</c> stands beside it), <c>regex</c> (the whole answer must match), <c>json_schema</c>. <c>task</c> groups lines.
/// </remarks>
internal sealed record EvalQuestion(string Task, IReadOnlyList<ChatMessage> Messages, string? Expected, string? Regex, JsonObject? Schema)
{
    /// <summary>Reads a file, one question a line; blank lines are skipped.</summary>
    /// <exception cref="FormatException">A line is not a question; the message names file, line and field.</exception>
    public static List<EvalQuestion> ReadFile(string path)
    {
        List<EvalQuestion> questions = [];
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line))
            {
                try
                {
                    questions.Add(Read(line));
                }
                catch (Exception error) when (error is JsonException or FormatException or InvalidOperationException)
                {
                    throw new FormatException($"{path}, line {number}: {error.Message}", error);
                }
            }
        }

        return questions.Count > 0 ? questions : throw new FormatException($"{path}: no question in the file");
    }

    private static EvalQuestion Read(string line)
    {
        JsonObject item = JsonNode.Parse(line) as JsonObject ?? throw new FormatException("expected a JSON object");
        if (item["messages"] is not JsonArray { Count: > 0 } turns)
        {
            throw new FormatException("messages: expected a non-empty array");
        }

        List<ChatMessage> messages = [.. turns.Select(turn => new ChatMessage(
            turn?["role"]?.GetValue<string>() ?? throw new FormatException("messages: a turn has no role"),
            turn["content"]?.GetValue<string>()))];
        string? expected = item["expected"]?.GetValue<string>();
        string? regex = item["regex"]?.GetValue<string>();
        JsonObject? schema = item["json_schema"] as JsonObject;
        return expected is null && regex is null && schema is null
            ? throw new FormatException("expected, regex or json_schema: one must be set")
            : new EvalQuestion(item["task"]?.GetValue<string>() ?? "all", messages, expected, regex, schema);
    }
}
