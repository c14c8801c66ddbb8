using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;
using ModelServe.Host.Evaluation;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>An answer is judged by every rule that its question states.</summary>
public sealed class AnswerCheckTests
{
    private const string PersonSchema = """
        {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}
        """;

    [Theory]
    [InlineData("85", true)]
    [InlineData(" 85\n", true)]
    [InlineData("85.", false)]
    [InlineData("", false)]
    public void Text_is_compared_whole(string answer, bool right) => Assert.Equal(right, AnswerCheck.IsRight(Question(expected: "85"), answer));

    [Theory]
    [InlineData("hello there", true)]
    [InlineData("well, hello there", false)]
    public void A_pattern_matches_the_whole_answer(string answer, bool right) =>
        Assert.Equal(right, AnswerCheck.IsRight(Question(regex: "hello( there)?"), answer));

    [Theory]
    [InlineData("""{"name": "Anna", "age": 31}""", true)]
    [InlineData("""{"age":31,"name":"Anna"}""", true)]
    [InlineData("""{"name": "Anna", "age": 32}""", false)]
    [InlineData("""{"name": "Anna", "age": "31"}""", false)]
    [InlineData("""{"name": "Anna", "age": 31, "x": 1}""", false)]
    [InlineData("""{"name": "Anna", "age": 31""", false)]
    [InlineData("""{"name": "Anna", "age": 31, "age": 31}""", false)]
    public void With_a_schema_values_are_compared_as_json(string answer, bool right) =>
        Assert.Equal(right, AnswerCheck.IsRight(Question(expected: """{"name":"Anna","age":31}""", schema: PersonSchema), answer));

    [Fact]
    public void An_unknown_schema_keyword_is_refused_by_name()
    {
        FormatException error = Assert.Throws<FormatException>(() => AnswerCheck.IsRight(Question(schema: """{"pattern":"a"}"""), "\"a\""));
        Assert.Contains("'pattern'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"messages\":[]}", "messages")]
    [InlineData("{\"messages\":[{\"content\":\"x\"}],\"expected\":\"y\"}", "role")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "expected")]
    [InlineData("[1]", "object")]
    public void A_bad_line_is_named_with_its_number_and_field(string line, string field)
    {
        string file = Path.Combine(Path.GetTempPath(), Guid.NewGuid() + ".jsonl");
        File.WriteAllText(file, "\n" + line + "\n");
        try
        {
            FormatException error = Assert.Throws<FormatException>(() => EvalQuestion.ReadFile(file));
            Assert.Contains("line 2", error.Message, StringComparison.Ordinal);
            Assert.Contains(field, error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void The_report_counts_by_task()
    {
        EvalReport report = new();
        report.Add("add", true);
        report.Add("add", false);
        report.Add("sort", true);
        using StringWriter text = new();
        report.WriteTo(text);
        Assert.Equal(2.0 / 3, report.Accuracy, 12);
        Assert.Contains("add                      1 / 2       50.0 %", text.ToString(), StringComparison.Ordinal);
    }

    private static EvalQuestion Question(string? expected = null, string? regex = null, string? schema = null) =>
        new("t", [new ChatMessage("user", "q")], expected, regex, schema is null ? null : (JsonObject)JsonNode.Parse(schema)!);
}
