using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>One sampler over a small vocabulary.</summary>
internal sealed class SamplerBench
{
    private readonly TokenSampler _sampler;

    public SamplerBench(int vocabulary)
    {
        _sampler = new TokenSampler(vocabulary);
        Result = new StepResult(new ExecutorGeometry(vocabulary, 4096, 16, 300, 4, 64));
    }

    public StepResult Result { get; }

    /// <summary>The token after the given ones; the last of them is at position tokens.Length - 1.</summary>
    public int Sample(float[] logits, SamplingOptions options, int[]? tokens = null, int promptLength = 0, int? position = null)
    {
        tokens ??= [];
        var slot = new SlotSampling();
        slot.Assign(new SlotAssignment(0, options, tokens, promptLength), 4096);
        _sampler.Sample(logits, slot, position ?? tokens.Length, Result, 0);
        return Result.TokenIds[0];
    }

    /// <summary>How often each token comes over many positions.</summary>
    public double[] Frequencies(float[] logits, SamplingOptions options, int draws = 20_000)
    {
        var slot = new SlotSampling();
        slot.Assign(new SlotAssignment(0, options, default, 0), 4096);
        var counts = new double[logits.Length];
        for (var position = 0; position < draws; position++)
        {
            _sampler.Sample(logits, slot, position, Result, 0);
            counts[Result.TokenIds[0]] += 1.0 / draws;
        }

        return counts;
    }

    public static float[] Logits(int count, int seed = 1, float scale = 3)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1) * scale)];
    }

    public static double[] Softmax(float[] logits, double temperature = 1)
    {
        var max = logits.Max();
        var weights = logits.Select(logit => Math.Exp((logit - max) / temperature)).ToArray();
        var total = weights.Sum();
        return [.. weights.Select(weight => weight / total)];
    }
}
