using System.Diagnostics;
using System.Runtime;
using System.Text.Json;
using ModelServe.Codec;
using ModelServe.Codec.Grammars;

namespace ModelServe.Benchmarks;

/// <summary>What constrained outputs cost on a real vocabulary: the token tree, compiling, and the mask of every step.</summary>
/// <remarks>Each grammar is followed along random allowed tokens. First masks, which walk the tree, and later ones are told apart.</remarks>
internal static class GrammarTable
{
    private const int StepsPerGrammar = 120;
    private static readonly TimeSpan LongEnoughForTheRuntimesCompiler = TimeSpan.FromSeconds(6);

    /// <summary>Prints the table for a tokenizer's folder and a file of schemas, one JSON object with a schema a line.</summary>
    public static void Print(TextWriter output, string directory, string schemas, int most)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(directory);
        long start = Stopwatch.GetTimestamp();
        TokenTrie trie = TokenTrie.Of(tokenizer, tokenizer.VocabularySize);
        double treeMs = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        var compiler = new GrammarCompiler(trie, new GrammarLimits { SourceCharacters = 1 << 20 });
        var random = new Random(1);
        List<double> compileMs = [], warmMs = [], kept = [];
        List<string> compiled = [];
        var first = new Passes();
        var again = new Passes();
        foreach (string line in File.ReadLines(schemas).Take(most))
        {
            using JsonDocument document = JsonDocument.Parse(line);
            start = Stopwatch.GetTimestamp();
            CompiledGrammar grammar;
            string schema = document.RootElement.GetProperty("schema").GetRawText();
            try
            {
                grammar = compiler.JsonSchema(schema);
            }
            catch (InvalidGrammarException)
            {
                continue;
            }

            compileMs.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            compiled.Add(schema);
            start = Stopwatch.GetTimestamp();
            grammar.WarmUp();
            warmMs.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            string name = document.RootElement.GetProperty("name").GetString()!;
            List<int> taken = Follow(grammar, trie, random, name, first);
            kept.Add(grammar.BytesKept / 1024.0);
            Repeat(grammar, trie, taken, name, again);
        }

        output.WriteLine($"{tokenizer.VocabularySize} tokens, tree {treeMs:f0} ms; {compileMs.Count} schemas, {first.MaskUs.Count} masks");
        output.WriteLine("| what | mean | p50 | p90 | p99 | max |");
        output.WriteLine("|---|---|---|---|---|---|");
        Row(output, "compile, ms", compileMs);
        Row(output, "compile by code that the runtime has optimized, ms", CompileAgain(compiler, compiled));
        Row(output, "warm up, ms", warmMs);
        Row(output, "first text: mask, us", first.MaskUs);
        Row(output, "first text: accept, us", first.AcceptUs);
        Row(output, "first text: allocated a mask, bytes", first.Bytes);
        Row(output, "same text again: token and mask, us", again.MaskUs);
        Row(output, "same text again: allocated, bytes", again.Bytes);
        Row(output, "kept of a grammar after its text, KiB", kept);
        output.WriteLine("\nSlowest masks:");
        foreach ((double us, string where) in first.Slowest.OrderByDescending(one => one.Us).Take(8))
        {
            output.WriteLine($"- {us:f0} us: {where}");
        }
    }

    /// <summary>Milliseconds of each schema after the runtime's compiler has come to rest: the methods are many, and each is met seldom.</summary>
    private static List<double> CompileAgain(GrammarCompiler compiler, List<string> schemas)
    {
        List<double> milliseconds = [];
        for (long begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < LongEnoughForTheRuntimesCompiler;)
        {
            milliseconds.Clear();
            foreach (string schema in schemas)
            {
                long start = Stopwatch.GetTimestamp();
                compiler.JsonSchema(schema);
                milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        return milliseconds;
    }

    /// <summary>A text that was met before, as the engine follows it.</summary>
    private static void Repeat(CompiledGrammar grammar, TokenTrie trie, List<int> taken, string name, Passes passes)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        var mask = new uint[trie.MaskWords];
        matcher.FillMask(mask);
        foreach (int token in taken)
        {
            passes.Measure(passes.MaskUs, name, () =>
            {
                if (!matcher.TryAcceptPrepared(token))
                {
                    matcher.TryAccept(token);
                }

                return matcher.FillMask(mask);
            });
        }
    }

    private static List<int> Follow(CompiledGrammar grammar, TokenTrie trie, Random random, string name, Passes passes)
    {
        List<int> taken = [];
        GrammarMatcher matcher = grammar.CreateMatcher();
        var mask = new uint[trie.MaskWords];
        for (int step = 0; step < StepsPerGrammar; step++)
        {
            if (!passes.Measure(passes.MaskUs, $"{name}, token {step}", () => matcher.FillMask(mask)))
            {
                return taken;
            }

            int token = Draw(mask, random);
            taken.Add(token);
            long start = Stopwatch.GetTimestamp();
            matcher.TryAccept(token);
            passes.AcceptUs.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return taken;
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

    /// <summary>Figures of many masks, and what went on beside the slowest.</summary>
    private sealed class Passes
    {
        private const double Slow = 2000;

        public List<double> MaskUs { get; } = [];

        public List<double> AcceptUs { get; } = [];

        public List<double> Bytes { get; } = [];

        public List<(double Us, string Where)> Slowest { get; } = [];

        public bool Measure(List<double> times, string where, Func<bool> run)
        {
            long bytes = GC.GetAllocatedBytesForCurrentThread();
            int collections = GC.CollectionCount(0);
            TimeSpan paused = GC.GetTotalPauseDuration();
            TimeSpan compiling = JitInfo.GetCompilationTime(currentThread: true);
            double busy = ThreadClock.Seconds();
            long start = Stopwatch.GetTimestamp();
            bool any = run();
            double us = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
            times.Add(us);
            Bytes.Add(bytes);
            if (us > Slow)
            {
                Slowest.Add((us, $"{where}: thread busy {(ThreadClock.Seconds() - busy) * 1e6:f0} us, compiling {(JitInfo.GetCompilationTime(currentThread: true) - compiling).TotalMicroseconds:f0}, "
                    + $"{GC.CollectionCount(0) - collections} collections of {(GC.GetTotalPauseDuration() - paused).TotalMicroseconds:f0}, {bytes} bytes"));
            }

            return any;
        }
    }
}
