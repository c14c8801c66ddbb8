using System.Diagnostics;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Benchmarks;

/// <summary>Adds up how long each stage of a step takes in other operations.</summary>
/// <remarks>Engine thread; the operations stay their owner's.</remarks>
internal sealed class TimedOps(IOps inner) : IOps
{
    /// <summary>The stages, in the order of <see cref="Ticks"/>.</summary>
    public static IReadOnlyList<string> Stages { get; } =
        ["begin", "embed", "norm, qkv", "rope, store", "attention", "output", "norm, gate, up, silu", "down", "norm, head"];

    /// <summary>What each stage has taken since the caller last cleared it, in ticks of the <see cref="Stopwatch"/>.</summary>
    public long[] Ticks { get; } = new long[9];

    /// <inheritdoc />
    public int Threads => inner.Threads;

    /// <inheritdoc />
    public void ForEachRow(IRowWork work, int rows, int columns) => inner.ForEachRow(work, rows, columns);

    /// <inheritdoc />
    public void Adopt(WeightMatrix weight) => inner.Adopt(weight);

    /// <inheritdoc />
    public void BeginStep(StepBatch batch)
    {
        long start = Stopwatch.GetTimestamp();
        inner.BeginStep(batch);
        Note(0, start);
    }

    /// <inheritdoc />
    public void Embed(StepBatch batch, WeightMatrix table, Activation output)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Embed(batch, table, output);
        Note(1, start);
    }

    /// <inheritdoc />
    public void Norm(Activation x, WeightVector gain, float epsilon, Activation output, int rows) => inner.Norm(x, gain, epsilon, output, rows);

    /// <inheritdoc />
    public void AddNorm(Activation residual, Activation delta, WeightVector gain, float epsilon, Activation output, int rows) =>
        inner.AddNorm(residual, delta, gain, epsilon, output, rows);

    /// <inheritdoc />
    public void Linear(Activation x, WeightMatrix weight, Activation output, int rows) => inner.Linear(x, weight, output, rows);

    /// <inheritdoc />
    public void NormLinear(
        Activation residual, Activation? pending, WeightVector gain, float epsilon, Activation normed, WeightMatrix weight, Activation output, int rows)
    {
        long start = Stopwatch.GetTimestamp();
        inner.NormLinear(residual, pending, gain, epsilon, normed, weight, output, rows);
        Note(output.Type == ElementType.Float32 && weight.Rows > 4 * weight.Columns && weight.Rows >= 16_384 ? 8 : 2, start);
    }

    /// <inheritdoc />
    public void NormGated(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        Activation normed,
        WeightMatrix weight,
        Activation gateUp,
        Activation output,
        int rows)
    {
        long start = Stopwatch.GetTimestamp();
        inner.NormGated(residual, pending, gain, epsilon, normed, weight, gateUp, output, rows);
        Note(6, start);
    }

    /// <inheritdoc />
    public Activation? LinearInto(Activation x, WeightMatrix weight, Activation residual, Activation delta, int rows)
    {
        long start = Stopwatch.GetTimestamp();
        Activation? pending = inner.LinearInto(x, weight, residual, delta, rows);
        _isDown = !_isDown;
        Note(_isDown ? 5 : 7, start);
        return pending;
    }

    /// <inheritdoc />
    public void RotateAndStore(
        StepBatch batch,
        Activation fused,
        AttentionShape shape,
        WeightVector? queryGain,
        WeightVector? keyGain,
        float epsilon,
        RotaryTable rotary,
        KvCache cache,
        int layer)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RotateAndStore(batch, fused, shape, queryGain, keyGain, epsilon, rotary, cache, layer);
        Note(3, start);
    }

    /// <inheritdoc />
    public void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Attention(batch, fused, shape, cache, layer, output);
        Note(4, start);
    }

    /// <inheritdoc />
    public void GatedActivation(Activation gateUp, Activation output, int rows) => inner.GatedActivation(gateUp, output, rows);

    /// <inheritdoc />
    public void GatherSampled(StepBatch batch, Activation residual, Activation? pending, Activation output) =>
        inner.GatherSampled(batch, residual, pending, output);

    /// <inheritdoc />
    public void GatherScored(StepBatch batch, int start, Activation residual, Activation? pending, Activation output, int rows) =>
        inner.GatherScored(batch, start, residual, pending, output, rows);

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private bool _isDown;

    private void Note(int stage, long start) => Ticks[stage] += Stopwatch.GetTimestamp() - start;
}
