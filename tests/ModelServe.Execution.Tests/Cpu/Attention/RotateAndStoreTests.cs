using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Attention;

/// <summary>Per-head norm, rotation and the write into the paged cache, against double precision.</summary>
public sealed unsafe class RotateAndStoreTests
{
    private const float Epsilon = 1e-6f;

    [Theory]
    [InlineData(4, 2, 16, ElementType.Float32, true, 1)]
    [InlineData(4, 2, 16, ElementType.BFloat16, false, 1)]
    [InlineData(6, 2, 48, ElementType.BFloat16, true, 20)]
    [InlineData(3, 3, 80, ElementType.Float32, false, 33)]
    [InlineData(8, 1, 256, ElementType.BFloat16, true, 5)]
    [InlineData(6, 2, 80, ElementType.Int8, true, 21)]
    [InlineData(8, 1, 256, ElementType.Int8, false, 5)]
    public void Queries_keys_and_values_agree(int queryHeads, int heads, int headDim, ElementType type, bool normalised, int tokens)
    {
        var shape = new AttentionShape(queryHeads, heads, headDim, 1f, 0);
        using var memory = new NativeFloats();
        var paged = new PagedBatch(shape, type, 5, (13, tokens), (0, 3));
        var random = new Random(8);
        var fused = NativeFloats.Random(random, (long)paged.Batch.TokenCount * shape.FusedColumns);
        var queryGain = normalised ? NativeFloats.Random(random, headDim) : null;
        var keyGain = normalised ? NativeFloats.Random(random, headDim) : null;
        var positions = paged.Geometry.MaxModelLength;
        var angles = NativeFloats.Random(random, positions * headDim / 2);
        var rotary = new RotaryTable(
            memory.Copy(Array.ConvertAll(angles, a => (float)Math.Cos(3 * a))),
            memory.Copy(Array.ConvertAll(angles, a => (float)Math.Sin(3 * a))),
            positions,
            headDim / 2);
        var cache = memory.Cache(type, 1, paged.Geometry.BlockCount, shape);
        var actual = memory.Activation(fused, paged.Batch.TokenCount, shape.FusedColumns);
        using var ops = new CpuOps(paged.OpsShape, 2);
        ops.RotateAndStore(
            paged.Batch, actual, shape, Vector(memory, queryGain), Vector(memory, keyGain), Epsilon, rotary, cache, 0);

        for (var token = 0; token < paged.Batch.TokenCount; token++)
        {
            var sequence = token < tokens ? 0 : 1;
            var position = paged.Batch.Positions[token];
            var row = fused.AsSpan(token * shape.FusedColumns, shape.FusedColumns);
            for (var head = 0; head < queryHeads; head++)
            {
                var expected = Rotated(row.Slice(head * headDim, headDim), queryGain, rotary, position);
                for (var d = 0; d < headDim; d++)
                {
                    Assert.Equal(expected[d], actual.Row(token)[(head * headDim) + d], 1e-5);
                }
            }

            for (var head = 0; head < heads; head++)
            {
                var key = Rotated(row.Slice(shape.QueryColumns + (head * headDim), headDim), keyGain, rotary, position);
                var value = row.Slice(shape.QueryColumns + shape.KeyValueColumns + (head * headDim), headDim);
                var stored = CacheElements.Stored(value, type);
                for (var d = 0; d < headDim; d++)
                {
                    var rounding = type switch
                    {
                        ElementType.BFloat16 => Math.Abs(key[d]) / 256,
                        ElementType.Int8 => key.Max(Math.Abs) / 253,
                        _ => 0,
                    };
                    Assert.Equal(key[d], paged.Read(cache, sequence, position, head, d, key: true), 1e-5 + rounding);
                    Assert.Equal(stored[d], paged.Read(cache, sequence, position, head, d, key: false), 1e-6f);
                }
            }
        }
    }

    [Theory]
    [InlineData(ElementType.BFloat16, 2)]
    [InlineData(ElementType.Int8, 1)]
    public void Slots_of_other_tokens_keep_their_bits(ElementType type, int bytes)
    {
        var shape = new AttentionShape(2, 2, 16, 1f, 0);
        using var memory = new NativeFloats();
        var paged = new PagedBatch(shape, type, 5, (13, 1));
        var cache = paged.Cache(memory);
        var before = new byte[Execution.Memory.KvCache.BytesFor(cache.Type, 1, cache.Blocks, 16, shape)];
        new Span<byte>(cache.Data, before.Length).CopyTo(before);
        using var ops = new CpuOps(paged.OpsShape, 1);
        var rotary = new RotaryTable(memory.Copy(new float[14 * 8]), memory.Copy(new float[14 * 8]), 14, 8);
        var fused = memory.Activation(new float[shape.FusedColumns], 1, shape.FusedColumns);
        ops.RotateAndStore(paged.Batch, fused, shape, null, null, Epsilon, rotary, cache, 0);
        var changed = new HashSet<int>();
        for (var i = 0; i < before.Length; i++)
        {
            if (cache.Data[i] != before[i])
            {
                changed.Add(i / bytes);
            }
        }

        // Of a scale, each byte is an element here.
        Assert.Equal(2 * shape.KeyValueColumns, changed.Count - (type == ElementType.Int8 ? 4 * 2 * shape.KeyValueHeads : 0));
    }

    private static WeightVector? Vector(NativeFloats memory, float[]? gain) => gain is null ? null : memory.Vector(gain);

    private static double[] Rotated(Span<float> head, float[]? gain, RotaryTable rotary, int position)
    {
        var x = Array.ConvertAll(head.ToArray(), value => (double)value);
        if (gain is not null)
        {
            var factor = 1 / Math.Sqrt((x.Sum(value => value * value) / x.Length) + Epsilon);
            x = [.. x.Select((value, i) => value * factor * gain[i])];
        }

        var half = x.Length / 2;
        var result = new double[x.Length];
        for (var i = 0; i < half; i++)
        {
            double cosine = rotary.Cosines[(position * half) + i], sine = rotary.Sines[(position * half) + i];
            result[i] = (x[i] * cosine) - (x[i + half] * sine);
            result[i + half] = (x[i + half] * cosine) + (x[i] * sine);
        }

        return result;
    }
}
