using System.Text.Json.Nodes;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>
/// Small templates against what Jinja2 3.1.2 makes of them: snippets.json is written by tests/oracles/jinja/generate_snippets.py.
/// </summary>
public sealed class SnippetTests
{
    private static readonly FixedClock Clock = new(new DateTimeOffset(2026, 1, 5, 9, 7, 3, TimeSpan.Zero));
    private static readonly Lazy<Dictionary<string, JsonObject>> Snippets = new(Read);

    public static TheoryData<string> Names => [.. Snippets.Value.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_snippet_renders_or_fails_as_in_Jinja2(string name)
    {
        JsonObject snippet = Snippets.Value[name];
        string? text = null;
        string? error = null;
        try
        {
            text = ChatTemplate.Parse((string)snippet["source"]!, time: Clock).Render(snippet["context"]?.AsObject() ?? []);
        }
        catch (Exception exception) when (exception is TemplateException or UnsupportedFeatureException)
        {
            error = exception.Message;
        }

        if (snippet["err"] is JsonNode expected)
        {
            Assert.True(error is not null, $"expected {expected}, got «{text}»");
        }
        else
        {
            Assert.True(error is null, error);
            Assert.Equal((string?)snippet["ok"], text);
        }
    }

    private static Dictionary<string, JsonObject> Read()
    {
        string path = TestFolders.FindUpward("tests", "ModelServe.Codec.Tests", "Templates", "snippets.json")
            ?? throw new FileNotFoundException("snippets.json is part of the repository");
        return JsonNode.Parse(File.ReadAllText(path))!.AsArray()
            .ToDictionary(node => (string)node!["name"]!, node => node!.AsObject());
    }
}
