using CsCheck;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Sampling;
using Xunit;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>Every sampling option does what its name says, and changes the output.</summary>
public sealed class TokenSamplerTests
{
    private static readonly double[] Uneven = [0.1, 0.4, 0.05, 0.25, 0.2];

    private static readonly SamplingOptions Draw = new() { Temperature = 1, Seed = 7 };

    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(1000)]
    public void Greedy_takes_the_greatest_logit_and_the_lower_id_of_equals(int vocabulary)
    {
        var bench = new SamplerBench(vocabulary);
        for (var id = 0; id < vocabulary; id++)
        {
            var logits = new float[vocabulary];
            logits.AsSpan(id).Fill(2);
            Assert.Equal(id, bench.Sample(logits, SamplingOptions.Greedy));
        }
    }

    [Fact]
    public void A_temperature_of_nearly_zero_is_greedy()
    {
        var logits = SamplerBench.Logits(500);
        Assert.Equal(Array.IndexOf(logits, logits.Max()), new SamplerBench(500).Sample(logits, Draw with { Temperature = 1e-6f }));
    }

    [Theory]
    [InlineData(0.5f)]
    [InlineData(1f)]
    [InlineData(2f)]
    public void Draws_follow_the_tempered_distribution(float temperature)
    {
        var logits = SamplerBench.Logits(20);
        var frequencies = new SamplerBench(20).Frequencies(logits, Draw with { Temperature = temperature });
        AssertClose(SamplerBench.Softmax(logits, temperature), frequencies);
    }

    [Fact]
    public void Top_k_keeps_the_k_likeliest()
    {
        var logits = SamplerBench.Logits(40);
        var kept = SamplerBench.Softmax(logits).Order().TakeLast(3).ToArray();
        AssertClose(
            [.. SamplerBench.Softmax(logits).Select(p => p >= kept[0] ? p / kept.Sum() : 0)],
            new SamplerBench(40).Frequencies(logits, Draw with { TopK = 3 }));
    }

    [Fact]
    public void Top_k_of_equals_keeps_the_lower_ids()
    {
        var frequencies = new SamplerBench(100).Frequencies(new float[100], Draw with { TopK = 5 }, 2000);
        Assert.All(frequencies[..5], frequency => Assert.True(frequency > 0.1));
        Assert.All(frequencies[5..], frequency => Assert.Equal(0, frequency));
    }

    [Fact]
    public void Top_p_keeps_the_smallest_set_that_reaches_p()
    {
        float[] logits = [.. Uneven.Select(p => (float)Math.Log(p))];
        var bench = new SamplerBench(5);
        AssertClose([0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], bench.Frequencies(logits, Draw with { TopP = 0.6f }));
        AssertClose([0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85], bench.Frequencies(logits, Draw with { TopP = 0.7f }));
        AssertClose([0, 1, 0, 0, 0], bench.Frequencies(logits, Draw with { TopP = 0.01f }));
    }

    [Fact]
    public void Top_p_counts_among_what_top_k_left()
    {
        float[] logits = [.. Uneven.Select(p => (float)Math.Log(p))];

        // Of 0.4, 0.25, 0.2 the first two hold 0.76 of the weight.
        AssertClose(
            [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0],
            new SamplerBench(5).Frequencies(logits, Draw with { TopK = 3, TopP = 0.7f }));
    }

    [Fact]
    public void Min_p_is_a_share_of_the_likeliest()
    {
        float[] logits = [.. Uneven.Select(p => (float)Math.Log(p))];
        var bench = new SamplerBench(5);
        AssertClose([0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85], bench.Frequencies(logits, Draw with { MinP = 0.4f }));
        AssertClose([0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], bench.Frequencies(logits, Draw with { MinP = 0.4f, TopP = 0.75f }));
    }

    [Fact]
    public void Truncation_agrees_with_a_sorted_vocabulary() =>
        Gen.Select(Gen.Int[1, 400], Gen.Int[0, 60], Gen.Float[0.01f, 1f], Gen.Float[0f, 0.5f], Gen.Float[0.1f, 60f], Gen.Int[0, 1000])
            .Sample(
                (vocabulary, topK, topP, minP, scale, seed) =>
                {
                    var logits = SamplerBench.Logits(vocabulary, seed, scale);
                    var allowed = Allowed(logits, topK, topP, minP);
                    var bench = new SamplerBench(vocabulary);
                    var options = new SamplingOptions { Temperature = 1, TopK = topK, TopP = topP, MinP = minP, Seed = (ulong)seed };
                    for (var position = 0; position < 20; position++)
                    {
                        Assert.Contains(bench.Sample(logits, options, position: position), allowed);
                    }
                },
                iter: 2000);

    [Fact]
    public void The_same_seed_and_position_draw_the_same_token()
    {
        var logits = SamplerBench.Logits(300);
        var bench = new SamplerBench(300);
        int[] Run(ulong seed) => [.. Enumerable.Range(0, 50).Select(position => bench.Sample(logits, Draw with { Seed = seed }, position: position))];
        Assert.Equal(Run(1), Run(1));
        Assert.NotEqual(Run(1), Run(2));
        Assert.True(Run(1).Distinct().Count() > 10);
    }

    [Fact]
    public void Bias_changes_the_choice_and_not_the_logprob()
    {
        var bench = new SamplerBench(50);
        var logits = SamplerBench.Logits(50);
        var options = SamplingOptions.Greedy with { LogitBias = [new LogitBias(17, 100)], TopLogprobs = 1 };
        Assert.Equal(17, bench.Sample(logits, options));
        Assert.Equal(Math.Log(SamplerBench.Softmax(logits)[17]), bench.Result.Logprobs[0], 1e-5);
        Assert.Equal(Array.IndexOf(logits, logits.Max()), bench.Result.TopTokenIds[0]);
    }

    [Fact]
    public void Stop_ids_are_masked_until_the_minimum()
    {
        var bench = new SamplerBench(10);
        float[] logits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        var options = SamplingOptions.Greedy with { MinTokens = 2, StopTokenIds = [9, 8] };
        Assert.Equal(7, bench.Sample(logits, options, [1, 1, 1], 3));
        Assert.Equal(7, bench.Sample(logits, options, [1, 1, 1, 1], 3));
        Assert.Equal(9, bench.Sample(logits, options, [1, 1, 1, 1, 1], 3));
    }

    [Fact]
    public void Repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output()
    {
        var bench = new SamplerBench(4);
        var options = SamplingOptions.Greedy with { RepetitionPenalty = 2 };
        Assert.Equal(1, bench.Sample([4, 2.5f, 0, 0], options, [0], 1));
        Assert.Equal(1, bench.Sample([4, 2.5f, 0, 0], options, [0], 0));
        Assert.Equal(0, bench.Sample([6, 2.5f, 0, 0], options, [0], 1));
        Assert.Equal(1, bench.Sample([-1, -1.5f, -9, -9], options, [0], 1));
        Assert.Equal(0, bench.Sample([4, 3, 0, 0], options with { RepetitionPenalty = 0.5f }, [1, 0], 1));
    }

    [Fact]
    public void Presence_counts_once_and_frequency_each_time_in_the_output_only()
    {
        var bench = new SamplerBench(3);
        var presence = SamplingOptions.Greedy with { PresencePenalty = 1 };
        Assert.Equal(0, bench.Sample([3, 2.5f, 0], presence, [0, 0, 0], 3));
        Assert.Equal(1, bench.Sample([3, 2.5f, 0], presence, [0], 0));
        Assert.Equal(0, bench.Sample([3.7f, 2.5f, 0], presence, [0, 0, 0], 0));

        var frequency = SamplingOptions.Greedy with { FrequencyPenalty = 1 };
        Assert.Equal(0, bench.Sample([3, 2.5f, 0], frequency, [0, 0, 0], 3));
        Assert.Equal(0, bench.Sample([3.7f, 2.5f, 0], frequency, [0], 0));
        Assert.Equal(1, bench.Sample([3.7f, 2.5f, 0], frequency, [0, 0], 0));
    }

    [Fact]
    public void Sampled_tokens_count_for_the_penalties_of_the_next()
    {
        var sampler = new TokenSampler(3);
        var slot = new SlotSampling();
        var result = new StepResult(new ExecutorGeometry(3, 64, 16, 4, 1, 16));
        slot.Assign(new SlotAssignment(0, SamplingOptions.Greedy with { FrequencyPenalty = 1 }, default, 0), 64);
        var tokens = new List<int>();
        for (var position = 0; position < 6; position++)
        {
            sampler.Sample([3, 2.5f, 0], slot, position, result, 0);
            tokens.Add(result.TokenIds[0]);
        }

        Assert.Equal([0, 1, 0, 1, 0, 1], tokens);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_row_that_is_not_finite_fails(float value)
    {
        foreach (var place in new[] { 0, 17, 98, 99 })
        {
            var logits = SamplerBench.Logits(100);
            logits[place] = value;
            Assert.Equal(StepResult.Failed, new SamplerBench(100).Sample(logits, SamplingOptions.Greedy));
            Assert.Equal(StepResult.Failed, new SamplerBench(100).Sample(logits, Draw));
        }
    }

    [Fact]
    public void A_vocabulary_that_is_masked_entirely_fails() =>
        Assert.Equal(
            StepResult.Failed,
            new SamplerBench(2).Sample([1, 2], SamplingOptions.Greedy with { MinTokens = 1, StopTokenIds = [0, 1] }));

    private static HashSet<int> Allowed(float[] logits, int topK, float topP, float minP)
    {
        var max = logits.Max();
        var ranked = Enumerable.Range(0, logits.Length)
            .Select(id => (Id: id, Weight: Math.Exp(logits[id] - max)))
            .Where(token => token.Weight >= minP * 0.9999)
            .OrderByDescending(token => token.Weight).ThenBy(token => token.Id)
            .ToList();
        if (topK > 0)
        {
            // A tie at float precision may fall either way.
            var last = ranked[Math.Min(topK, ranked.Count) - 1].Weight;
            ranked = [.. ranked.Where(token => token.Weight >= last * 0.99999)];
        }

        var total = ranked.Sum(token => token.Weight);
        var allowed = new HashSet<int>();
        var mass = 0.0;
        foreach (var (id, weight) in ranked)
        {
            allowed.Add(id);
            mass += weight;
            if (mass >= topP * total * 1.0001)
            {
                break;
            }
        }

        return allowed;
    }

    private static void AssertClose(double[] expected, double[] actual)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 0.015);
            Assert.False(expected[i] == 0 && actual[i] > 0, $"token {i} was to be dropped");
        }
    }
}
