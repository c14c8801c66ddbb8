using System.Diagnostics;
using System.Text.Json;
using ModelServe.Codec;
using ModelServe.Codec.Grammars;

namespace ModelServe.Benchmarks;

/// <summary>What constrained outputs cost on a real vocabulary: the token tree, compiling, and the mask of every step.</summary>
/// <remarks>Each grammar is followed along random allowed tokens. First masks, which walk the tree, and later ones are told apart.</remarks>
internal static class GrammarTable
{
    private const int StepsPerGrammar = 120;

    /// <summary>Prints the table for a tokenizer's folder and a file of schemas, one JSON object with a schema a line.</summary>
    public static void Print(TextWriter output, string directory, string schemas, int most)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(directory);
        long start = Stopwatch.GetTimestamp();
        TokenTrie trie = TokenTrie.Of(tokenizer, tokenizer.VocabularySize);
        double treeMs = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        var compiler = new GrammarCompiler(trie, new GrammarLimits { SourceCharacters = 1 << 20 });
        var random = new Random(1);
        List<double> compileMs = [], warmMs = [], maskUs = [], acceptUs = [];
        foreach (string line in File.ReadLines(schemas).Take(most))
        {
            using JsonDocument document = JsonDocument.Parse(line);
            start = Stopwatch.GetTimestamp();
            CompiledGrammar grammar;
            try
            {
                grammar = compiler.JsonSchema(document.RootElement.GetProperty("schema").GetRawText());
            }
            catch (InvalidGrammarException)
            {
                continue;
            }

            compileMs.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            start = Stopwatch.GetTimestamp();
            grammar.WarmUp();
            warmMs.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            Follow(grammar, trie, random, maskUs, acceptUs);
        }

        output.WriteLine($"{tokenizer.VocabularySize} tokens, tree {treeMs:f0} ms; {compileMs.Count} schemas, {maskUs.Count} masks");
        output.WriteLine("| what | mean | p50 | p90 | p99 | max |");
        output.WriteLine("|---|---|---|---|---|---|");
        Row(output, "compile, ms", compileMs);
        Row(output, "warm up, ms", warmMs);
        Row(output, "mask, us", maskUs);
        Row(output, "accept, us", acceptUs);
    }

    private static void Follow(CompiledGrammar grammar, TokenTrie trie, Random random, List<double> maskUs, List<double> acceptUs)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        var mask = new uint[trie.MaskWords];
        for (int step = 0; step < StepsPerGrammar; step++)
        {
            long start = Stopwatch.GetTimestamp();
            bool any = matcher.FillMask(mask);
            maskUs.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            if (!any)
            {
                return;
            }

            int token = Draw(mask, random);
            start = Stopwatch.GetTimestamp();
            matcher.TryAccept(token);
            acceptUs.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }
    }

    private static int Draw(uint[] mask, Random random)
    {
        int from = random.Next(mask.Length * 32);
        for (int i = 0; ; i++)
        {
            int id = (from + i) % (mask.Length * 32);
            if ((mask[id >> 5] >> (id & 31) & 1) != 0)
            {
                return id;
            }
        }
    }

    private static void Row(TextWriter output, string name, List<double> values)
    {
        values.Sort();
        double At(double share) => values[(int)((values.Count - 1) * share)];
        output.WriteLine($"| {name} | {values.Average():f1} | {At(0.5):f1} | {At(0.9):f1} | {At(0.99):f1} | {values[^1]:f1} |");
    }
}
