using System.Text;
using CsCheck;
using ModelServe.Codec.Streaming;
using Xunit;

namespace ModelServe.Codec.Tests.Streaming;

/// <summary>A stream of ids cut into any steps, over the synthetic tokenizers: one for each kind of decoder.</summary>
public sealed class DecodingStepTests
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static TheoryData<string> Names => [.. Directory.GetDirectories(Root).Select(path => Path.GetFileName(path)).Order()];

    private static string Root => Path.Combine(AppContext.BaseDirectory, "Synthetic", "cases");

    [Theory]
    [MemberData(nameof(Names))]
    public void Deltas_of_any_steps_add_up_to_the_whole_and_each_is_valid_text(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        Gen.Select(Gen.Int[0, tokenizer.VocabularySize - 1].Array[0, 40], Gen.Int[1, 5].Array[1, 8], Gen.Bool).Sample(
            (ids, steps, skip) =>
            {
                List<string> deltas = Deltas(tokenizer, ids, steps, skip);
                return string.Concat(deltas) == tokenizer.DecodeIds(ids, skip) && deltas.TrueForAll(delta => Strict.GetByteCount(delta) >= 0);
            },
            iter: 300);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_stop_string_ends_the_stream_at_the_same_character_whatever_the_steps(string name)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root, name));
        Gen.Select(Gen.Int[0, tokenizer.VocabularySize - 1].Array[1, 40], Gen.Int[1, 5].Array[1, 8], Gen.Int[0, 1000], Gen.Int[1, 6], Gen.Bool).Sample(
            (ids, steps, from, length, include) =>
            {
                string whole = tokenizer.DecodeIds(ids, skipSpecialTokens: false);
                if (whole.Length == 0)
                {
                    return true;
                }

                int begin = from % whole.Length;
                string stop = whole.Substring(begin, Math.Min(length, whole.Length - begin));
                var matcher = new StopStringMatcher([stop], include);
                var output = new StringBuilder();
                foreach (string delta in Deltas(tokenizer, ids, steps, skip: false))
                {
                    matcher.Append(delta, output);
                }

                matcher.Flush(output);
                int end = whole.IndexOf(stop, StringComparison.Ordinal) + (include ? stop.Length : 0);
                return matcher.IsStopped && output.ToString() == whole[..end];
            },
            iter: 300);
    }

    private static List<string> Deltas(HfTokenizer tokenizer, int[] ids, int[] steps, bool skip)
    {
        IncrementalDecoder decoder = tokenizer.CreateDecoder(skip);
        var deltas = new List<string>();
        var delta = new StringBuilder();
        for (int position = 0, step = 0; position < ids.Length; step++)
        {
            for (int count = steps[step % steps.Length]; count > 0 && position < ids.Length; count--)
            {
                decoder.Append(ids[position++], delta);
            }

            deltas.Add(delta.ToString());
            delta.Clear();
        }

        decoder.Flush(delta);
        deltas.Add(delta.ToString());
        return deltas;
    }
}
