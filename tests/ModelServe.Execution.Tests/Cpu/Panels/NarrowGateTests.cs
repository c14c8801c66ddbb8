using CsCheck;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Normed and gated products with weights in 12 bits, against the same with 16.</summary>
public sealed class NarrowGateTests
{
    private static readonly Gen<(int Panels, int Quads, int Count, bool Exceptions, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 9], Gen.Int[3, 40], Gen.Int[1, 70], Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Any_shape_is_the_same_bit_for_bit_or_agrees_where_there_are_exceptions() => Cases.Sample(
        c => Agree(16 * c.Panels, 8 * c.Quads, c.Count, c.Exceptions, c.Threads, c.Seed), iter: 150, threads: 1);

    [Theory]
    [InlineData(1, false)]
    [InlineData(3, true)]
    [InlineData(29, false)]
    [InlineData(29, true)]
    public void Columns_beyond_one_pass_do_too(int count, bool exceptions) => Agree(48, 4096 + 72, count, exceptions, 2, 7);

    private static void Agree(int features, int columns, int count, bool exceptions, int threads, int seed)
    {
        var random = new Random(seed);
        var bits = exceptions ? NarrowWeights.WithExceptions(random, 2 * features, columns, 3) : NarrowWeights.Within(random, 2 * features, columns);
        var x = NativeFloats.Random(random, (long)count * columns);
        var expected = Gated(bits, x, features, columns, count, threads, narrow: false);
        var actual = Gated(bits, x, features, columns, count, threads, narrow: true);
        if (!exceptions)
        {
            Assert.Equal(expected, actual);
            return;
        }

        // Against the largest: differences of large sums are as wrong as those.
        var most = expected.Max(MathF.Abs);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], most * 1e-4f);
        }
    }

    private static float[] Gated(ushort[] bits, float[] x, int features, int columns, int count, int threads, bool narrow)
    {
        using var memory = new NativeFloats();
        using var ops = NarrowWeights.Ops(count, columns, threads, narrow);
        var weight = NarrowWeights.Weight(memory, bits, 2 * features, columns);
        ops.Adopt(weight);
        Assert.Equal(narrow ? WeightLayout.NarrowPanels : WeightLayout.Panels, weight.Layout);
        var gain = memory.Vector([.. Enumerable.Repeat(0.05f, columns)]);
        var output = memory.Empty(count, features);
        ops.NormGated(
            memory.Activation(x, count, columns),
            null,
            gain,
            1e-5f,
            memory.Empty(count, columns),
            weight,
            memory.Empty(count, 2 * features),
            output,
            count);
        return [.. Enumerable.Range(0, count).SelectMany(row => output.Row(row).ToArray())];
    }
}
