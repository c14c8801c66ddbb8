using System.Text;
using System.Text.Json;
using ModelServe.Codec.Grammars;
using Xunit;

namespace ModelServe.Codec.Tests.Grammars;

/// <summary>Schemas of a public benchmark with instances known to be valid or not. Skipped where the data folder is absent.</summary>
public sealed class SchemaSampleTests(ITestOutputHelper output)
{
    private static readonly GrammarLimits Wide = new() { SourceCharacters = 1 << 20 };

    [Fact]
    public void A_compiled_schema_admits_valid_instances_and_refuses_invalid_ones()
    {
        string? file = FindSample();
        if (file is null)
        {
            Assert.Skip("no schema sample in ../shared/data");
        }

        var compiler = new GrammarCompiler(ByteVocabulary.Trie, Wide);
        var refusals = new Dictionary<string, int>();
        var wrong = new List<string>();
        int schemas = 0, unsupported = 0, valid = 0, invalid = 0, admittedInvalid = 0, refusedValid = 0;
        double compiling = 0;
        foreach (string line in File.ReadLines(file))
        {
            using JsonDocument document = JsonDocument.Parse(line);
            string name = document.RootElement.GetProperty("name").GetString()!;
            schemas++;
            CompiledGrammar grammar;
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            try
            {
                grammar = compiler.JsonSchema(document.RootElement.GetProperty("schema").GetRawText());
            }
            catch (InvalidGrammarException exception)
            {
                unsupported++;
                string reason = (exception.IsUnsupported ? "" : "! ") + exception.Message[(exception.Place.Length)..];
                refusals[reason] = refusals.GetValueOrDefault(reason) + 1;
                continue;
            }

            compiling += System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds;

            foreach (JsonElement test in document.RootElement.GetProperty("tests").EnumerateArray())
            {
                bool isValid = test.GetProperty("valid").GetBoolean();
                bool isAdmitted = Admits(grammar, Write(test.GetProperty("data")));
                valid += isValid ? 1 : 0;
                invalid += isValid ? 0 : 1;
                refusedValid += isValid && !isAdmitted ? 1 : 0;
                admittedInvalid += !isValid && isAdmitted ? 1 : 0;
                if (isValid != isAdmitted)
                {
                    wrong.Add($"{(isValid ? "refused" : "ADMITTED")} {name}: {test.GetProperty("data").GetRawText()[..Math.Min(200, test.GetProperty("data").GetRawText().Length)]}");
                }
            }
        }

        output.WriteLine($"{schemas} schemas, {unsupported} refused; {valid} valid instances, {refusedValid} refused; {invalid} invalid, {admittedInvalid} admitted; compiled in {compiling / (schemas - unsupported):f1} ms on average");
        foreach ((string reason, int count) in refusals.OrderByDescending(r => r.Value).Take(40))
        {
            output.WriteLine($"{count} {reason}");
        }

        foreach (string one in wrong.Take(60))
        {
            output.WriteLine(one);
        }

        // What is admitted must be right; what is refused, by name or instance by instance, must not become more.
        Assert.Equal(0, admittedInvalid);
        Assert.InRange(unsupported, 0, 126);
        Assert.InRange(refusedValid, 0, 11);
    }

    private static bool Admits(CompiledGrammar grammar, string text)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        return matcher.TryAccept(Encoding.UTF8.GetBytes(text)) && matcher.IsComplete;
    }

    private static string Write(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(", ", value.EnumerateObject().Select(p => $"\"{JsonSpelling.Spell(p.Name)}\": {Write(p.Value)}")) + "}",
        JsonValueKind.Array => "[" + string.Join(", ", value.EnumerateArray().Select(Write)) + "]",
        JsonValueKind.String => $"\"{JsonSpelling.Spell(value.GetString()!)}\"",
        _ => value.GetRawText(),
    };

    private static string? FindSample()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string file = Path.Combine(folder.FullName, "shared", "data", "maskbench-sample.jsonl");
            if (File.Exists(file))
            {
                return file;
            }
        }

        return null;
    }
}
