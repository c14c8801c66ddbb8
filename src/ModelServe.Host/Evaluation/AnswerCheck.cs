using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace ModelServe.Host.Evaluation;

/// <summary>Judges one answer: every rule that the question states must hold.</summary>
internal static class AnswerCheck
{
    // An object that names a member twice has no one meaning, so it is no right answer.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Whether the answer is right. White space around it does not count.</summary>
    public static bool IsRight(EvalQuestion question, string answer)
    {
        string text = answer.Trim();
        if (question.Regex is { } pattern
            && !Regex.IsMatch(text, $@"\A(?:{pattern})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant))
        {
            return false;
        }

        if (question.Schema is not { } schema)
        {
            return question.Expected is null || text == question.Expected.Trim();
        }

        return TryParse(text, out JsonNode? value)
            && JsonSchemaCheck.Accepts(schema, value)
            && (question.Expected is null || (TryParse(question.Expected, out JsonNode? expected) && JsonNode.DeepEquals(value, expected)));
    }

    private static bool TryParse(string text, out JsonNode? value)
    {
        try
        {
            value = JsonNode.Parse(text, documentOptions: Strict);
            return true;
        }
        catch (JsonException)
        {
            // Not JSON is an answer like any other: a wrong one.
            value = null;
            return false;
        }
    }
}
