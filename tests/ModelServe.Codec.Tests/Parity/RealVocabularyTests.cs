using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ModelServe.Codec.Streaming;
using Xunit;

namespace ModelServe.Codec.Tests.Parity;

/// <summary>
/// Compares with what the reference library made of a corpus on real vocabularies. The folder artifacts/oracles is written by
/// tests/oracles/parity.mjs; vocabularies carry their models' licences and are never committed, so that a checkout without
/// the folder skips.
/// </summary>
public sealed class RealVocabularyTests
{
    [Theory]
    [InlineData("llama3_1")]
    [InlineData("qwen2_5")]
    [InlineData("qwen3")]
    [InlineData("deepseek_v3")]
    [InlineData("gemma3")]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    [InlineData("mistral_nemo")]
    [InlineData("gptoss")]
    [InlineData("unigram")]
    [InlineData("unigram_precompiled")]
    [InlineData("unigram_bytes")]
    [InlineData("unigram_whole")]
    [InlineData("wordpiece")]
    [InlineData("wordpiece_cased")]
    [InlineData("wordpiece_accents")]
    public void A_real_vocabulary_gives_the_reference_ids_and_texts(string name)
    {
        string? folder = Folder(name);
        Assert.SkipWhen(folder is null, "artifacts/oracles is absent; tests/oracles/parity.mjs writes it.");
        long started = Stopwatch.GetTimestamp();
        HfTokenizer tokenizer = HfTokenizer.Load(folder!);
        var report = new StringBuilder();
        report.Append(CultureInfo.InvariantCulture, $"{name}: loaded in {Stopwatch.GetElapsedTime(started).TotalMilliseconds:F0} ms; ");
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder!, "expected.json")));
        int wrong = 0;
        int strings = 0;
        long chars = 0;
        TimeSpan encoding = TimeSpan.Zero;
        foreach (JsonElement item in expected.RootElement.GetProperty("cases").EnumerateArray())
        {
            string text = Encoding.Unicode.GetString(item.GetProperty("text").GetBytesFromBase64());
            long begun = Stopwatch.GetTimestamp();
            int[] ids = tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: true);
            encoding += Stopwatch.GetElapsedTime(begun);
            int[] wanted = Ids(item);
            strings++;
            chars += text.Length;
            if (!ids.AsSpan().SequenceEqual(wanted))
            {
                wrong++;
                Describe(report, wrong, "encode", text, string.Join(' ', wanted), string.Join(' ', ids));
            }
            wrong += Decoded(tokenizer, item, report);
        }
        foreach (JsonElement item in expected.RootElement.GetProperty("randomIds").EnumerateArray())
        {
            wrong += Decoded(tokenizer, item, report);
        }
        int swept = Sweep(tokenizer, Path.Combine(folder!, "sweep.json"), report);
        wrong += swept;
        report.Append(CultureInfo.InvariantCulture, $"{swept} mismatches in the sweep; {strings} strings, {wrong} mismatches, {chars / 1e6 / encoding.TotalSeconds:F1} M chars/s");
        report.Append("; ").Append(SlowestRun(tokenizer));
        TestContext.Current.TestOutputHelper?.WriteLine(report.ToString());
        Assert.True(wrong == 0, report.ToString());
    }

    /// <summary>All code points, sixteen a string, against hashes of the reference's ids and texts.</summary>
    private static int Sweep(HfTokenizer tokenizer, string file, StringBuilder report)
    {
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(file));
        int wrong = 0;
        int first = 0;
        var text = new StringBuilder();
        using JsonElement.ArrayEnumerator hashes = expected.RootElement.EnumerateArray().GetEnumerator();
        for (; hashes.MoveNext(); first += 16)
        {
            text.Clear();
            for (int code = first; code < first + 16; code++)
            {
                if (Rune.TryCreate(code, out Rune one))
                {
                    text.Append(CultureInfo.InvariantCulture, $"x{one}Y {one}1{one}{one}\n");
                }
            }
            int[] ids = tokenizer.EncodeIds(text.ToString(), addSpecialTokens: false, parseSpecialTokens: true);
            uint wantedIds = hashes.Current.GetUInt32();
            hashes.MoveNext();
            string decoded = tokenizer.DecodeIds(ids, skipSpecialTokens: false);
            if (Hash(ids) != wantedIds || Hash(decoded.EnumerateRunes().Select(rune => rune.Value)) != hashes.Current.GetUInt32())
            {
                wrong++;
                Describe(report, wrong, "sweep", string.Create(CultureInfo.InvariantCulture, $"U+{first:X4}"), "the reference's hash", string.Join(' ', ids));
            }
        }
        Assert.Equal(0x110000, first);
        return wrong;
    }

    /// <summary>How long the slowest run of 100,000 equal characters takes, the best of three.</summary>
    private static string SlowestRun(HfTokenizer tokenizer)
    {
        TimeSpan slowest = TimeSpan.Zero;
        string which = "";
        foreach (string unit in new[] { "a", "Z", "9", " ", "\n", "\t", "-", "=", "\u00E9", "\u4E2D", "\U0001F600", "\u0301", "'", "\u2581", ".", "0", "\0", "\uD800" })
        {
            string run = string.Concat(Enumerable.Repeat(unit, 100_000));
            TimeSpan best = TimeSpan.MaxValue;
            for (int round = 0; round < 3; round++)
            {
                long begun = Stopwatch.GetTimestamp();
                _ = tokenizer.EncodeIds(run, addSpecialTokens: false, parseSpecialTokens: false);
                TimeSpan taken = Stopwatch.GetElapsedTime(begun);
                best = taken < best ? taken : best;
            }
            (slowest, which) = best > slowest ? (best, unit) : (slowest, which);
        }
        return string.Create(CultureInfo.InvariantCulture, $"100,000 x {JsonSerializer.Serialize(which)} in {slowest.TotalMilliseconds:F0} ms, the slowest of 18 runs");
    }

    private static uint Hash(IEnumerable<int> values)
    {
        uint mixed = 0x811C9DC5;
        foreach (int value in values)
        {
            mixed = (mixed ^ (uint)value) * 0x01000193;
        }
        return mixed;
    }

    private static int Decoded(HfTokenizer tokenizer, JsonElement item, StringBuilder report)
    {
        int wrong = 0;
        int[] ids = Ids(item);
        foreach ((string name, bool skip) in new[] { ("decoded", false), ("skipped", true) })
        {
            string wanted = item.GetProperty(name).GetString()!;
            string whole = tokenizer.DecodeIds(ids, skip);
            string streamed = Stream(tokenizer.CreateDecoder(skip), ids);
            if (whole != wanted || streamed != wanted)
            {
                wrong++;
                Describe(report, wrong, name, string.Join(' ', ids), wanted, whole);
            }
        }
        return wrong;
    }

    private static string Stream(IncrementalDecoder decoder, int[] ids)
    {
        var output = new StringBuilder();
        foreach (int id in ids)
        {
            decoder.Append(id, output);
            if (output.Length > 0 && char.IsHighSurrogate(output[^1]))
            {
                return "half a character was emitted";
            }
        }
        decoder.Flush(output);
        return output.ToString();
    }

    private static int[] Ids(JsonElement item) => [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];

    private static void Describe(StringBuilder report, int count, string what, string input, string wanted, string found)
    {
        if (count <= 10)
        {
            report.AppendLine().Append(what).Append(" of ").Append(JsonSerializer.Serialize(input.Length > 200 ? input[..200] : input))
                .AppendLine().Append("  wanted ").Append(Short(wanted)).AppendLine().Append("  found  ").Append(Short(found)).AppendLine();
        }
    }

    private static string Short(string text) => JsonSerializer.Serialize(text.Length > 300 ? text[..300] : text);

    private static string? Folder(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine(folder.FullName, "artifacts", "oracles", name);
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }
        return null;
    }
}
