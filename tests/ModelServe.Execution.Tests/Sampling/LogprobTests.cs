using ModelServe.Engine.Admission;
using ModelServe.Execution.Sampling;
using Xunit;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>Log probabilities are those of the unmodified logits.</summary>
public sealed class LogprobTests
{
    [Theory]
    [InlineData(3)]
    [InlineData(199)]
    [InlineData(5000)]
    [InlineData(128_256)]
    public void They_agree_with_the_log_softmax(int vocabulary)
    {
        var logits = SamplerBench.Logits(vocabulary, scale: 12);
        var bench = new SamplerBench(vocabulary);
        var token = bench.Sample(logits, SamplingOptions.Greedy with { TopLogprobs = 20 });
        var expected = SamplerBench.Softmax(logits).Select(p => Math.Log(p)).ToArray();
        var ranked = Enumerable.Range(0, vocabulary).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(20).ToArray();
        Assert.Equal(expected[token], bench.Result.Logprobs[0], 1e-5);
        Assert.Equal(ranked, bench.Result.TopTokenIds[..bench.Result.TopCounts[0]]);
        Assert.All(ranked.Index(), rank => Assert.Equal(expected[rank.Item], bench.Result.TopLogprobs[rank.Index], 1e-5));
    }

    [Fact]
    public void Probabilities_of_a_whole_vocabulary_sum_to_one()
    {
        var bench = new SamplerBench(20);
        bench.Sample(SamplerBench.Logits(20), SamplingOptions.Greedy with { TopLogprobs = 20 });
        Assert.Equal(1, bench.Result.TopLogprobs[..20].Sum(logprob => Math.Exp(logprob)), 1e-5);
    }

    [Fact]
    public void A_count_of_zero_reports_the_token_alone_and_null_nothing()
    {
        var bench = new SamplerBench(20);
        var logits = SamplerBench.Logits(20);
        bench.Result.Logprobs[0] = 5;
        bench.Sample(logits, SamplingOptions.Greedy);
        Assert.Equal((0, 5f), (bench.Result.TopCounts[0], bench.Result.Logprobs[0]));
        bench.Sample(logits, SamplingOptions.Greedy with { TopLogprobs = 0 });
        Assert.Equal(0, bench.Result.TopCounts[0]);
        Assert.Equal(Math.Log(SamplerBench.Softmax(logits).Max()), bench.Result.Logprobs[0], 1e-5);
    }

    [Fact]
    public void Temperature_and_truncation_leave_them_unchanged()
    {
        var bench = new SamplerBench(30);
        var logits = SamplerBench.Logits(30);
        var token = bench.Sample(logits, new SamplingOptions { Temperature = 3, TopK = 5, Seed = 1, TopLogprobs = 3 });
        Assert.Equal(Math.Log(SamplerBench.Softmax(logits)[token]), bench.Result.Logprobs[0], 1e-5);
        Assert.Equal(3, bench.Result.TopCounts[0]);
    }

    [Fact]
    public void Equal_logits_rank_by_id()
    {
        var bench = new SamplerBench(100);
        bench.Sample(new float[100], SamplingOptions.Greedy with { TopLogprobs = 4 });
        Assert.Equal([0, 1, 2, 3], bench.Result.TopTokenIds[..4]);
    }

    [Fact]
    public void Noise_is_uniform_and_independent_of_neighbouring_seeds_and_positions()
    {
        const int count = 40_000;
        var bySeed = Enumerable.Range(0, count).Select(i => SeededNoise.Uniform((ulong)i, 3)).ToArray();
        var byPosition = Enumerable.Range(0, count).Select(i => SeededNoise.Uniform(3, i)).ToArray();
        foreach (var series in new[] { bySeed, byPosition })
        {
            Assert.All(series, value => Assert.InRange(value, 0, 1 - 1e-12));
            Assert.Equal(0.5, series.Average(), 0.01);
            Assert.Equal(1 / 12.0, series.Select(value => (value - 0.5) * (value - 0.5)).Average(), 0.003);
            Assert.Equal(0, series.Zip(series.Skip(1), (a, b) => (a - 0.5) * (b - 0.5)).Average(), 0.003);
        }
    }

    [Fact]
    public void Noise_is_philox()
    {
        // Known answer of Philox 4x32-10 for an all-zero counter and key.
        Assert.Equal((0x6627e8d5u, 0xe169c58du), SeededNoise.Block(0, 0));
    }
}
