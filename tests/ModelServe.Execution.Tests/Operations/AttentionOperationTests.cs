using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Cpu.Attention;
using Xunit;

namespace ModelServe.Execution.Tests.Operations;

/// <summary>Rotation, the store into the paged cache, and attention over it, against their definitions in plain loops.</summary>
public sealed class AttentionOperationTests
{
    private static readonly (int First, int Count)[] Mixed = [(0, 19), (16, 16), (40, 1), (0, 1), (15, 1), (31, 2), (3, 7)];

    public static TheoryData<TestedOps, ElementType, int, int, int, int> Shapes()
    {
        var data = new TheoryData<TestedOps, ElementType, int, int, int, int>();
        foreach (var kind in OpsKinds.All)
        {
            foreach (var type in OpsKinds.CacheTypes)
            {
                data.Add(kind, type, 4, 2, 16, 0);
                data.Add(kind, type, 4, 4, 32, 0);
                data.Add(kind, type, 6, 2, 64, 9);
                data.Add(kind, type, 5, 1, 80, 0);
                data.Add(kind, type, 8, 1, 128, 17);
                data.Add(kind, type, 2, 1, 256, 0);
                data.Add(kind, type, 16, 1, 16, 1);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Keys_and_values_land_in_their_slots_normalised_and_rotated(
        TestedOps kind, ElementType type, int heads, int kvHeads, int headDim, int window)
    {
        var shape = new AttentionShape(heads, kvHeads, headDim, 1f / MathF.Sqrt(headDim), window);
        using var bench = new OpsBench(kind, shape);
        foreach (var normed in new[] { false, true })
        {
            var cache = bench.Cache(type, 2);
            var rotary = bench.Rotary(256);
            var batch = bench.Batch(Mixed);
            var fused = bench.Random(64, shape.FusedColumns);
            var before = Enumerable.Range(0, batch.TokenCount).Select(row => fused.Row(row).ToArray()).ToArray();
            var queryGain = normed ? bench.Vector(headDim) : null;
            var keyGain = normed ? bench.Vector(headDim) : null;
            bench.Ops.RotateAndStore(batch, fused, shape, queryGain, keyGain, 1e-6f, rotary, cache, 1);
            for (var t = 0; t < batch.TokenCount; t++)
            {
                for (var head = 0; head < heads; head++)
                {
                    var expected = Rotated(before[t], head * headDim, headDim, queryGain, rotary, batch.Positions[t]);
                    for (var d = 0; d < headDim; d++)
                    {
                        Assert.Equal(expected[d], fused.Row(t)[(head * headDim) + d], 1e-5);
                    }
                }

                for (var head = 0; head < kvHeads; head++)
                {
                    var start = (heads + head) * headDim;
                    var expected = Rotated(before[t], start, headDim, keyGain, rotary, batch.Positions[t]);
                    var values = CacheElements.Stored(before[t].AsSpan(start + (kvHeads * headDim), headDim), type);
                    for (var d = 0; d < headDim; d++)
                    {
                        // Half a unit in the last place of bfloat16, relative to values below 4, or half a step of bytes.
                        var tolerance = 1e-5 + type switch
                        {
                            ElementType.Float32 => 0,
                            ElementType.BFloat16 => Math.Abs(expected[d]) / 256,
                            _ => expected.Max(Math.Abs) / 253,
                        };
                        Assert.Equal(expected[d], OpsBench.Key(cache, 1, batch.CacheSlots[t], head, d), tolerance);
                        Assert.Equal(values[d], OpsBench.Value(cache, 1, batch.CacheSlots[t], head, d), 1e-6f);
                    }
                }
            }

            Assert.True(float.IsNaN(OpsBench.Key(cache, 0, batch.CacheSlots[0], 0, 0)), "another layer was written");
            Assert.True(float.IsNaN(OpsBench.Key(cache, 1, 0, 0, 0)), "the null block was written");
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Attention_reads_what_each_position_may_see_and_nothing_else(
        TestedOps kind, ElementType type, int heads, int kvHeads, int headDim, int window)
    {
        var shape = new AttentionShape(heads, kvHeads, headDim, 1f / MathF.Sqrt(headDim), window);
        using var bench = new OpsBench(kind, shape);
        var cache = bench.Cache(type, 2);
        var batch = bench.Batch(Mixed);
        for (var sequence = 0; sequence < batch.SequenceCount; sequence++)
        {
            for (var position = 0; position < batch.ContextLength(sequence); position++)
            {
                for (var head = 0; head < kvHeads; head++)
                {
                    OpsBench.Store(cache, 1, Slot(batch, sequence, position), head, Numbers(bench, headDim, 2), Numbers(bench, headDim, 1));
                }
            }
        }

        var fused = bench.Random(64, shape.FusedColumns);
        var output = bench.Random(64, shape.QueryColumns);
        bench.Ops.Attention(batch, fused, shape, cache, 1, output);

        // Native kernels round queries and weights to what their units take.
        var tolerance = kind != TestedOps.Cpu ? 2e-5 : type == ElementType.BFloat16 ? 0.02 : type == ElementType.Int8 ? 2e-3 : 2e-5;
        for (var sequence = 0; sequence < batch.SequenceCount; sequence++)
        {
            for (var t = batch.TokenStarts[sequence]; t < batch.TokenStarts[sequence + 1]; t++)
            {
                for (var head = 0; head < heads; head++)
                {
                    var expected = Attended(batch, sequence, batch.Positions[t], fused.Row(t).ToArray(), shape, cache, head);
                    for (var d = 0; d < headDim; d++)
                    {
                        Assert.Equal(expected[d], output.Row(t)[(head * headDim) + d], tolerance);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Extreme_scores_do_not_overflow(TestedOps kind)
    {
        var shape = new AttentionShape(4, 2, 16, 100f, 0);
        using var bench = new OpsBench(kind, shape);
        var cache = bench.Cache(ElementType.Float32, 1);
        var batch = bench.Batch((33, 1));
        for (var position = 0; position < 34; position++)
        {
            float[] key = [.. Enumerable.Repeat(position == 20 ? 30f : -30f, 16)];
            float[] value = [.. Enumerable.Repeat((float)position, 16)];
            OpsBench.Store(cache, 0, Slot(batch, 0, position), 0, key, value);
            OpsBench.Store(cache, 0, Slot(batch, 0, position), 1, key, value);
        }

        var fused = bench.Random(64, shape.FusedColumns);
        fused.Row(0)[..shape.QueryColumns].Fill(10);
        var output = bench.Random(64, shape.QueryColumns);
        bench.Ops.Attention(batch, fused, shape, cache, 0, output);
        Assert.All(output.Row(0).ToArray(), value => Assert.Equal(20f, value, 1e-4f));
    }

    private static float[] Numbers(OpsBench bench, int count, float scale) => [.. Enumerable.Range(0, count).Select(_ => bench.Next(scale))];

    public static TheoryData<TestedOps> Kinds() => OpsKinds.Data();

    private static int Slot(StepBatch batch, int sequence, int position) =>
        (batch.BlockTables[batch.BlockRows[sequence] + (position / 16)] * 16) + (position % 16);

    private static double[] Rotated(float[] row, int start, int headDim, WeightVector? gain, RotaryTable rotary, int position)
    {
        var x = row.Skip(start).Take(headDim).Select(value => (double)value).ToArray();
        if (gain is not null)
        {
            var scale = 1 / Math.Sqrt((x.Sum(value => value * value) / headDim) + 1e-6);
            x = [.. x.Select((value, i) => value * scale * gain.Span[i])];
        }

        var half = headDim / 2;
        var rotated = new double[headDim];
        for (var i = 0; i < half; i++)
        {
            var (cosine, sine) = Angle(rotary, position, i);
            rotated[i] = (x[i] * cosine) - (x[i + half] * sine);
            rotated[i + half] = (x[i + half] * cosine) + (x[i] * sine);
        }

        return rotated;
    }

    private static unsafe (double Cosine, double Sine) Angle(RotaryTable rotary, int position, int i) =>
        (rotary.Cosines[(position * rotary.Half) + i], rotary.Sines[(position * rotary.Half) + i]);

    private static double[] Attended(
        StepBatch batch, int sequence, int position, float[] row, AttentionShape shape, KvCache cache, int head)
    {
        var kvHead = head / (shape.QueryHeads / shape.KeyValueHeads);
        var first = shape.Window == 0 ? 0 : Math.Max(0, position - shape.Window + 1);
        var scores = new double[position - first + 1];
        for (var j = first; j <= position; j++)
        {
            for (var d = 0; d < shape.HeadDim; d++)
            {
                scores[j - first] +=
                    (double)row[(head * shape.HeadDim) + d] * OpsBench.Key(cache, 1, Slot(batch, sequence, j), kvHead, d) * shape.Scale;
            }
        }

        var max = scores.Max();
        var total = scores.Sum(score => Math.Exp(score - max));
        var output = new double[shape.HeadDim];
        for (var j = first; j <= position; j++)
        {
            var weight = Math.Exp(scores[j - first] - max) / total;
            for (var d = 0; d < shape.HeadDim; d++)
            {
                output[d] += weight * OpsBench.Value(cache, 1, Slot(batch, sequence, j), kvHead, d);
            }
        }

        return output;
    }
}
