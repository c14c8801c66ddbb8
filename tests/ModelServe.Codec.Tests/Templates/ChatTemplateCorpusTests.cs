using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>The engine against what Jinja2 3.1.2 made of public templates, where that corpus lies beside the repository.</summary>
public sealed class ChatTemplateCorpusTests
{
    private static readonly TemplateLimits Generous = new() { MaxTime = TimeSpan.FromSeconds(20) };

    [Fact]
    public void Every_public_template_renders_every_context_as_Jinja2_does()
    {
        string? corpus = TestFolders.FindUpward("shared", "data", "chat-templates");
        Assert.SkipWhen(corpus is null, "no shared/data/chat-templates beside the repository");
        JsonObject contexts = Read(Path.Combine(corpus, "contexts.json"));
        var clock = new FixedClock(new DateTimeOffset(2026, 1, 5, 9, 7, 3, TimeSpan.Zero));
        var differences = new StringBuilder();
        int cases = 0;
        int different = 0;
        foreach (string file in Directory.GetFiles(Path.Combine(corpus, "templates")).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(file);
            JsonObject expected = Read(Path.Combine(corpus, "expected", name + ".json"));
            ChatTemplate? template = null;
            string? refusal = null;
            try
            {
                template = ChatTemplate.Parse(File.ReadAllText(file), Generous, clock);
            }
            catch (UnsupportedFeatureException exception)
            {
                refusal = exception.Message;
            }

            foreach ((string context, JsonNode? outcome) in expected)
            {
                cases++;
                string? text = refusal is null ? Render(template!, (JsonObject)contexts[context]!, out refusal) : null;
                string? wanted = (string?)outcome!["ok"];
                if (text != wanted)
                {
                    different++;
                    differences.AppendLine(CultureInfo.InvariantCulture, $"{name} × {context}: {Difference(wanted, text, (string?)outcome["err"], refusal)}");
                }

                refusal = template is null ? refusal : null;
            }
        }

        Assert.True(different == 0 && cases > 0, $"{different} of {cases} differ\n{differences}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{cases} cases agree");
    }

    private static string? Render(ChatTemplate template, JsonObject context, out string? refusal)
    {
        refusal = null;
        try
        {
            return template.Render(context);
        }
        catch (TemplateException exception)
        {
            refusal = exception.Message;
            return null;
        }
    }

    private static string Difference(string? wanted, string? text, string? error, string? refusal)
    {
        if (wanted is null || text is null)
        {
            return $"expected {(wanted is null ? "error " + error : "text")}, got {(text is null ? "error " + refusal : "text")}";
        }

        int at = 0;
        while (at < wanted.Length && at < text.Length && wanted[at] == text[at])
        {
            at++;
        }

        static string Around(string value, int at) => value[Math.Max(0, at - 20)..Math.Min(value.Length, at + 40)].ReplaceLineEndings("\\n");
        return $"at {at}: expected «{Around(wanted, at)}» got «{Around(text, at)}»";
    }

    private static JsonObject Read(string path) => (JsonObject)JsonNode.Parse(File.ReadAllText(path))!;
}
