using System.Text;
using CsCheck;
using ModelServe.Codec.Streaming;
using Xunit;

namespace ModelServe.Codec.Tests.Streaming;

public sealed class StopStringMatcherTests
{
    [Fact]
    public void Any_chunking_gives_what_a_search_over_the_whole_text_gives()
    {
        Gen<string> text = Gen.Char["abc"].Array[0, 30].Select(chars => new string(chars));
        Gen<string[]> stops = Gen.Char["abc"].Array[1, 4].Select(chars => new string(chars)).Array[0, 4];
        Gen.Select(text, stops, Gen.Int[1, 5].Array[1, 12], Gen.Bool).Sample((whole, wanted, cuts, include) =>
        {
            var matcher = new StopStringMatcher(wanted, include);
            var output = new StringBuilder();
            int position = 0;
            for (int cut = 0; position < whole.Length; cut++)
            {
                int length = Math.Min(cuts[cut % cuts.Length], whole.Length - position);
                matcher.Append(whole.AsSpan(position, length), output);
                position += length;
            }
            matcher.Flush(output);
            (string expected, string? stop) = Naive(whole, wanted, include);
            return output.ToString() == expected && matcher.MatchedStop == stop;
        });
    }

    [Fact]
    public void Only_what_may_still_become_a_stop_string_is_held_back()
    {
        Gen<string> text = Gen.Char["ab"].Array[0, 20].Select(chars => new string(chars));
        Gen<string[]> stops = Gen.Char["abx"].Array[1, 5].Select(chars => new string(chars)).Array[1, 3];
        Gen.Select(text, stops).Sample((whole, wanted) =>
        {
            var matcher = new StopStringMatcher(wanted, includeStop: false);
            var output = new StringBuilder();
            if (matcher.Append(whole, output))
            {
                return matcher.HeldBack == 0;
            }
            int held = Enumerable.Range(0, whole.Length + 1).Where(length => wanted.Any(stop =>
                length < stop.Length && whole.EndsWith(stop[..length], StringComparison.Ordinal))).Max();
            return matcher.HeldBack == held && output.ToString() == whole[..^held];
        });
    }

    [Fact]
    public void A_stop_string_counts_only_if_it_ends_after_the_least_number_of_deltas()
    {
        Gen<string> delta = Gen.Char["ab"].Array[0, 3].Select(chars => new string(chars));
        Gen<string[]> stops = Gen.Char["ab"].Array[1, 4].Select(chars => new string(chars)).Array[1, 3];
        Gen.Select(delta.Array[0, 10], stops, Gen.Int[0, 6]).Sample((deltas, wanted, least) =>
        {
            var matcher = new StopStringMatcher(wanted, includeStop: false);
            var output = new StringBuilder();
            for (int index = 0; index < deltas.Length; index++)
            {
                matcher.Append(deltas[index], output, mayStop: index >= least);
            }
            matcher.Flush(output);
            string whole = string.Concat(deltas);
            int free = deltas.Take(least).Sum(text => text.Length);
            int end = Enumerable.Range(free + 1, Math.Max(0, whole.Length - free)).FirstOrDefault(
                length => wanted.Any(stop => whole.AsSpan(0, length).EndsWith(stop)), -1);
            string? met = end < 0 ? null : wanted.Where(stop => whole.AsSpan(0, end).EndsWith(stop)).MaxBy(stop => stop.Length);
            return output.ToString() == (met is null ? whole : whole[..(end - met.Length)]) && matcher.MatchedStop == met;
        }, iter: 2000);
    }

    [Fact]
    public void The_stop_string_is_emitted_only_when_asked_for()
    {
        Assert.Equal("one", Run("one\n\ntwo", includeStop: false));
        Assert.Equal("one\n\n", Run("one\n\ntwo", includeStop: true));
    }

    [Fact]
    public void Text_after_the_stop_is_dropped()
    {
        var matcher = new StopStringMatcher(["END"], includeStop: false);
        var output = new StringBuilder();
        Assert.True(matcher.Append("aEND", output));
        Assert.True(matcher.Append("b", output));
        matcher.Flush(output);
        Assert.Equal("a", output.ToString());
        Assert.Equal(0, matcher.StopIndex);
    }

    [Fact]
    public void An_empty_stop_string_is_refused() =>
        Assert.Contains("Stop string 1", Assert.Throws<ArgumentException>(() => new StopStringMatcher(["a", ""], false)).Message, StringComparison.Ordinal);

    private static string Run(string text, bool includeStop)
    {
        var matcher = new StopStringMatcher(["\n\n"], includeStop);
        var output = new StringBuilder();
        foreach (char value in text)
        {
            matcher.Append([value], output);
        }
        matcher.Flush(output);
        return output.ToString();
    }

    private static (string Text, string? Stop) Naive(string text, string[] stops, bool include)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            string? stop = stops.Where(candidate => text[..end].EndsWith(candidate, StringComparison.Ordinal)).MaxBy(candidate => candidate.Length);
            if (stop is not null)
            {
                return (include ? text[..end] : text[..(end - stop.Length)], stop);
            }
        }
        return (text, null);
    }
}
