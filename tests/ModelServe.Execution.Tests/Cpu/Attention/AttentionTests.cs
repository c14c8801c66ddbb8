using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Attention;

/// <summary>Paged attention against a softmax in double precision, and a token's independence of its batch.</summary>
public sealed unsafe class AttentionTests
{
    private static readonly Gen<(int Before, int New)> Sequence = Gen.Select(Gen.Int[0, 180], Gen.Int[1, 40]);

    private static readonly Gen<(AttentionShape Shape, ElementType Type, (int Before, int New)[] Sequences, int Threads, int Seed)> Cases =
        Gen.Select(
            Gen.Select(Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[1, 6], Gen.OneOf(Gen.Const(0), Gen.Int[1, 60])),
            Gen.Int[0, 2],
            Sequence.Array[1, 4],
            Gen.Int[1, 3],
            Gen.Int[0, 1 << 20],
            (sizes, type, sequences, threads, seed) => (
                new AttentionShape(sizes.Item1 * sizes.Item2, sizes.Item1, 16 * sizes.Item3, 0.3f, sizes.Item4),
                OpsKinds.CacheTypes[type],
                sequences,
                threads,
                seed));

    [Fact]
    public void Any_mix_of_sequences_agrees_with_a_softmax_in_double_precision() => Cases.Sample(
        c => Agrees(c.Shape, c.Type, c.Threads, c.Seed, c.Sequences), iter: 60, threads: 1);

    [Theory]
    [InlineData(8, 2, 256, 0)]
    [InlineData(14, 2, 128, 0)]
    [InlineData(6, 6, 80, 100)]
    [InlineData(71, 1, 64, 0)]
    [InlineData(4, 2, 64, 1)]
    [InlineData(3, 1, 144, 0)]
    public void Real_head_shapes_agree(int queryHeads, int heads, int headDim, int window)
    {
        var shape = new AttentionShape(queryHeads, heads, headDim, 1f / MathF.Sqrt(headDim), window);
        Agrees(shape, ElementType.BFloat16, 2, 1, (300, 1), (0, 17), (127, 2), (128, 1), (0, 1));
        Agrees(shape, ElementType.Int8, 2, 1, (300, 1), (0, 17), (127, 2), (128, 1), (0, 1));
        Agrees(shape, ElementType.Float32, 2, 2, (250, 20), (15, 1), (16, 16));
    }

    [Theory]
    [InlineData(ElementType.Float32, 0, true)]
    [InlineData(ElementType.BFloat16, 0, true)]
    [InlineData(ElementType.BFloat16, 0, false)]
    [InlineData(ElementType.BFloat16, 37, false)]
    [InlineData(ElementType.Int8, 0, true)]
    [InlineData(ElementType.Int8, 0, false)]
    [InlineData(ElementType.Int8, 37, false)]
    [InlineData(ElementType.Float32, 37, true)]
    public void A_token_s_result_is_the_same_bits_alone_in_chunks_and_among_others(ElementType type, int window, bool managed)
    {
        const int Length = 300;
        var shape = new AttentionShape(6, 2, 48, 0.2f, window);
        using var memory = new NativeFloats();
        var whole = Compute(memory, new PagedBatch(shape, type, 1, [77], (0, Length)), shape, threads: 1, managed);
        var amongOthers = Compute(memory, new PagedBatch(shape, type, 9, [5, 77, 6], (40, 9), (100, Length - 100), (0, 33)), shape, threads: 3, managed);
        for (var position = 100; position < Length; position++)
        {
            Assert.True(whole.Row(position).SequenceEqual(amongOthers.Row(9 + position - 100)), $"position {position}");
        }

        foreach (var position in new[] { 0, 1, 15, 16, 36, 37, 127, 128, 129, 255, 256, 299 })
        {
            var alone = Compute(memory, new PagedBatch(shape, type, position, [77], (position, 1)), shape, threads: 2, managed);
            Assert.True(whole.Row(position).SequenceEqual(alone.Row(0)), $"position {position} alone");
        }
    }

    [Theory]
    [InlineData(ElementType.Float32, 0, true)]
    [InlineData(ElementType.BFloat16, 0, false)]
    [InlineData(ElementType.BFloat16, 1100, false)]
    [InlineData(ElementType.Int8, 0, true)]
    [InlineData(ElementType.Int8, 1100, false)]
    public void A_long_context_gives_the_same_bits_on_one_thread_and_divided_among_many(ElementType type, int window, bool managed)
    {
        const int Length = 2600;
        var shape = new AttentionShape(3, 1, 32, 0.2f, window);
        using var memory = new NativeFloats();
        var inChunk = Compute(memory, new PagedBatch(shape, type, 1, [7], (Length - 40, 40)), shape, threads: 2, managed);
        var alone = new PagedBatch(shape, type, 2, [7], (Length - 1, 1));
        var one = Compute(memory, alone, shape, threads: 1, managed);
        var divided = Compute(memory, alone, shape, threads: 4, managed);
        Compare(alone, shape, type, one, sequence: 0, managed ? 1e-5 : Tolerance(type));
        Assert.True(one.Row(0).SequenceEqual(divided.Row(0)));
        Assert.True(one.Row(0).SequenceEqual(inChunk.Row(39)));
    }

    [Theory]
    [InlineData(ElementType.Float32, true)]
    [InlineData(ElementType.BFloat16, false)]
    [InlineData(ElementType.Int8, true)]
    [InlineData(ElementType.Int8, false)]
    public void A_sequence_that_is_not_finite_spoils_no_other(ElementType type, bool managed)
    {
        var shape = new AttentionShape(4, 2, 32, 0.2f, 0);
        using var memory = new NativeFloats();
        var paged = new PagedBatch(shape, type, 3, (50, 1), (20, 5));
        Array.Fill(paged.Sequences[0].Keys, float.NaN);
        Array.Fill(paged.Sequences[0].Values, float.PositiveInfinity);
        var y = Compute(memory, paged, shape, threads: 1, managed);
        Assert.All(y.Row(0).ToArray(), value => Assert.False(float.IsFinite(value)));
        Compare(paged, shape, type, y, sequence: 1, managed ? 1e-5 : Tolerance(type));
    }

    [Fact]
    public void Blocks_of_another_size_are_refused()
    {
        var shape = new AttentionShape(1, 1, 16, 1f, 0);
        using var buffer = new Execution.Memory.NativeBuffer(1 << 16);
        var cache = new Execution.Memory.KvCache(buffer, ElementType.Float32, 1, 4, 32, shape);
        var paged = new PagedBatch(shape, ElementType.Float32, 1, (0, 1));
        using var ops = new CpuOps(paged.OpsShape, 1);
        using var memory = new NativeFloats();
        var row = memory.Empty(1, shape.FusedColumns);
        var thrown = Assert.Throws<ArgumentException>(() => ops.Attention(paged.Batch, row, shape, cache, 0, row));
        Assert.StartsWith("block tokens: 16; got 32", thrown.Message, StringComparison.Ordinal);
    }

    // Native kernels round queries and weights to what their units take.
    private static double Tolerance(ElementType type) => type switch
    {
        ElementType.BFloat16 => 0.02,
        ElementType.Int8 => 1e-3,
        _ => 1e-5,
    };

    private static Activation Compute(NativeFloats memory, PagedBatch paged, AttentionShape shape, int threads, bool managed)
    {
        using var ops = new CpuOps(paged.OpsShape, threads, managed ? NativeCpuFeatures.None : NativeCpu.Load());
        var y = memory.Empty(paged.Batch.TokenCount, shape.QueryColumns);
        ops.BeginStep(paged.Batch);
        ops.Attention(paged.Batch, paged.Fused(memory), shape, paged.Cache(memory), 0, y);
        return y;
    }

    private static void Agrees(AttentionShape shape, ElementType type, int threads, int seed, params (int Before, int New)[] sequences)
    {
        using var memory = new NativeFloats();
        var paged = new PagedBatch(shape, type, seed, sequences);
        foreach (var managed in new[] { true, false })
        {
            var y = Compute(memory, paged, shape, threads, managed);
            for (var sequence = 0; sequence < sequences.Length; sequence++)
            {
                Compare(paged, shape, type, y, sequence, managed ? 1e-5 : Tolerance(type));
            }
        }
    }

    private static void Compare(PagedBatch paged, AttentionShape shape, ElementType type, Activation y, int sequence, double tolerance)
    {
        var (queries, keys, values) = paged.Sequences[sequence];
        keys = Stored(keys, shape, type);
        values = Stored(values, shape, type);
        var group = shape.QueryHeads / shape.KeyValueHeads;
        var dim = shape.HeadDim;
        for (var token = paged.Batch.TokenStarts[sequence]; token < paged.Batch.TokenStarts[sequence + 1]; token++)
        {
            var position = paged.Batch.Positions[token];
            for (var head = 0; head < shape.QueryHeads; head++)
            {
                var first = shape.FirstVisible(position);
                var weights = new double[position + 1 - first];
                for (var j = first; j <= position; j++)
                {
                    for (var d = 0; d < dim; d++)
                    {
                        weights[j - first] += (double)queries[(position * shape.QueryColumns) + (head * dim) + d] *
                            keys[(j * shape.KeyValueColumns) + (head / group * dim) + d] * shape.Scale;
                    }
                }

                var max = weights.Max();
                var total = weights.Sum(w => Math.Exp(w - max));
                for (var d = 0; d < dim; d++)
                {
                    var expected = 0.0;
                    for (var j = first; j <= position; j++)
                    {
                        expected += Math.Exp(weights[j - first] - max) / total *
                            values[(j * shape.KeyValueColumns) + (head / group * dim) + d];
                    }

                    // Scores of up to dim products each err by parts of 1e-6, and values are at most 1.
                    Assert.Equal(expected, y.Row(token)[(head * dim) + d], tolerance);
                }
            }
        }
    }

    private static float[] Stored(float[] elements, AttentionShape shape, ElementType type) =>
        [.. elements.Chunk(shape.HeadDim).SelectMany(head => CacheElements.Stored(head, type))];
}
