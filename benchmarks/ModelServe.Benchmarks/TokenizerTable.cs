using System.Globalization;
using ModelServe.Codec;

namespace ModelServe.Benchmarks;

/// <summary>
/// Speed of real vocabularies on the texts that tests/oracles/speed.mjs writes and measures with the reference library: encoding in
/// documents of 16 KiB, after twenty passes, best of six more; loading, best of three, all in processor time of the thread; the slowest run of 100,000 equal characters.
/// </summary>
internal static class TokenizerTable
{
    private const int DocumentBytes = 16 * 1024;
    private const int RunLength = 100_000;

    // Enough for the just-in-time compiler to have done its best.
    private const int WarmPasses = 20;

    private static readonly string[] Units =
        ["a", "Z", "9", " ", "\n", "\t", "-", "=", "\u00E9", "\u4E2D", "\U0001F600", "\u0301", "'", "\u2581", ".", "0", "\0"];

    /// <summary>Prints one line a vocabulary; false where a folder is missing.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="vocabularies">A folder of folders with a tokenizer.json each (tests/oracles/parity.mjs writes one).</param>
    /// <param name="texts">A folder of texts.</param>
    public static bool Print(TextWriter output, string vocabularies, string texts)
    {
        if (!Directory.Exists(vocabularies) || !Directory.Exists(texts))
        {
            output.WriteLine($"{vocabularies} or {texts} does not exist; tests/oracles/README.md says what writes them");
            return false;
        }

        (string Name, string[] Documents, long Bytes)[] corpora = [.. Directory.GetFiles(texts, "*.txt").Order(StringComparer.Ordinal).Select(Read)];
        output.WriteLine($"| vocabulary | load, first and best, ms | {string.Join(" | ", corpora.Select(corpus => corpus.Name + ", MB/s"))} | slowest run of 100,000, ms |");
        output.WriteLine(string.Concat(Enumerable.Repeat("|---", corpora.Length + 3)) + "|");
        foreach (string folder in Directory.GetDirectories(vocabularies).Order(StringComparer.Ordinal).Where(HasTokenizer))
        {
            double first = Best(1, () => HfTokenizer.Load(folder));
            double load = Best(3, () => HfTokenizer.Load(folder));
            HfTokenizer tokenizer = HfTokenizer.Load(folder);
            foreach ((string _, string[] documents, long _) in corpora)
            {
                Best(WarmPasses, () => Encode(tokenizer, documents));
            }

            string rates = string.Join(" | ", corpora.Select(corpus => Text(corpus.Bytes / 1e6 / Best(6, () => Encode(tokenizer, corpus.Documents)), 1)));
            (double time, string unit) = Units.Select(unit => (Best(3, () => Encode(tokenizer, [string.Concat(Enumerable.Repeat(unit, RunLength))])), unit)).Max();
            output.WriteLine($"| {Path.GetFileName(folder)} | {Text(first * 1000, 0)}, {Text(load * 1000, 0)} | {rates} | {Text(time * 1000, 0)} (U+{char.ConvertToUtf32(unit, 0):X4}) |");
        }

        return true;
    }

    private static (string Name, string[] Documents, long Bytes) Read(string file)
    {
        string text = File.ReadAllText(file);
        string[] documents = [.. text.Chunk(DocumentBytes).Select(chunk => new string(chunk))];
        return (Path.GetFileNameWithoutExtension(file), documents, new FileInfo(file).Length);
    }

    private static bool HasTokenizer(string folder) => File.Exists(Path.Combine(folder, "tokenizer.json"));

    private static int Encode(HfTokenizer tokenizer, string[] documents)
    {
        int tokens = 0;
        foreach (string document in documents)
        {
            tokens += tokenizer.EncodeIds(document, addSpecialTokens: false, parseSpecialTokens: true).Length;
        }

        return tokens;
    }

    private static double Best<T>(int rounds, Func<T> work)
    {
        double best = double.MaxValue;
        for (int round = 0; round < rounds; round++)
        {
            double begun = ThreadClock.Seconds();
            GC.KeepAlive(work());
            best = Math.Min(best, ThreadClock.Seconds() - begun);
        }

        return best;
    }

    private static string Text(double value, int digits) => value.ToString("F" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
