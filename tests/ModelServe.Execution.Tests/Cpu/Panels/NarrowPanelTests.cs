using CsCheck;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Weights in 12 bits: what is read back, against their own bits; products, against the 16-bit panels and sums in double precision.</summary>
public sealed class NarrowPanelTests
{
    private static readonly Gen<(int Panels, int Quads, int Count, bool Bias, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 9], Gen.Int[3, 40], Gen.Int[1, 70], Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Products_without_exceptions_are_those_of_16_bits_bit_for_bit() => Cases.Sample(
        c => AreTheSame(16 * c.Panels, 8 * c.Quads, c.Count, c.Bias, c.Threads, c.Seed), iter: 150, threads: 1);

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(7)]
    [InlineData(29)]
    public void Columns_beyond_one_pass_are_the_same_too(int count) => AreTheSame(48, (2 * 4096) + 72, count, withBias: true, threads: 2, seed: 3);

    [Fact]
    public void Products_with_exceptions_agree_with_the_sum_in_double_precision() => Cases.Sample(
        c => Agree(16 * c.Panels, 8 * c.Quads, c.Count, c.Bias, c.Threads, c.Seed), iter: 100, threads: 1);

    [Theory]
    [InlineData(2)]
    [InlineData(29)]
    public void Exceptions_agree_in_columns_beyond_one_pass(int count) => Agree(48, (2 * 4096) + 72, count, withBias: true, threads: 2, seed: 4);

    [Fact]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads()
    {
        const int Rows = 1040, Columns = 256, Most = 70;
        using var alone = NarrowWeights.Ops(Most, Columns, 1, narrow: true);
        using var shared = NarrowWeights.Ops(Most, Columns, 3, narrow: true);
        using var memory = new NativeFloats();
        var random = new Random(11);
        var x = NativeFloats.Random(random, Most * Columns);
        var weight = NarrowWeights.Weight(memory, NarrowWeights.WithExceptions(random, Rows, Columns, 5), Rows, Columns);
        alone.Adopt(weight);
        Assert.Equal(WeightLayout.NarrowPanels, weight.Layout);
        RowIndependence.Check(alone, shared, x, weight, Most);
    }

    [Fact]
    public void Every_bit_of_every_weight_is_read_back() => Cases.Sample(
        c =>
        {
            var (rows, columns) = (16 * c.Panels, 8 * c.Quads);
            var random = new Random(c.Seed);
            var bits = NarrowWeights.WithExceptions(random, rows, columns, c.Count % 6);
            if (c.Bias)
            {
                bits.AsSpan((c.Seed % rows) * columns, columns).Clear();
            }

            using var memory = new NativeFloats();
            using var ops = NarrowWeights.Ops(1, columns, c.Threads, narrow: true);
            var weight = NarrowWeights.Weight(memory, bits, rows, columns);
            ops.Adopt(weight);
            Assert.Equal(WeightLayout.NarrowPanels, weight.Layout);
            Assert.InRange(weight.Bytes, (rows * columns * 3 / 2) + 1, (rows * columns * 3 / 2) + (rows / 16 * 128));
            for (var row = 0; row < rows; row++)
            {
                Assert.Equal(
                    bits.AsSpan(row * columns, columns).ToArray().Select(half => (uint)half << 16),
                    NarrowWeights.Row(weight, row).Select(BitConverter.SingleToUInt32Bits));
            }
        },
        iter: 100,
        threads: 1);

    [Fact]
    public void A_row_of_zeros_stays_one()
    {
        const int Rows = 16, Columns = 64;
        using var memory = new NativeFloats();
        using var ops = NarrowWeights.Ops(3, Columns, 1, narrow: true);
        var bits = NarrowWeights.Within(new Random(1), Rows, Columns);
        bits.AsSpan(5 * Columns, Columns).Clear();
        var weight = NarrowWeights.Weight(memory, bits, Rows, Columns);
        ops.Adopt(weight);
        Assert.Equal(WeightLayout.NarrowPanels, weight.Layout);
        var y = memory.Empty(3, Rows);
        ops.Linear(memory.Activation(NativeFloats.Random(new Random(2), 3 * Columns), 3, Columns), weight, y, 3);
        Assert.Equal([0f, 0f, 0f], [y.Row(0)[5], y.Row(1)[5], y.Row(2)[5]]);
    }

    [Theory]
    [InlineData(40, 64, "rows")]
    [InlineData(48, 68, "columns")]
    [InlineData(48, 64, "infinite")]
    [InlineData(48, 64, "no number")]
    [InlineData(48, 64, "zeros and a bias")]
    [InlineData(48, 64, "exceptions")]
    [InlineData(48, 64, "off")]
    public void What_12_bits_cannot_say_or_should_not_keeps_16(int rows, int columns, string why)
    {
        using var memory = new NativeFloats();
        using var ops = NarrowWeights.Ops(1, columns, 2, narrow: why != "off");
        var bits = NarrowWeights.Within(new Random(1), rows, columns);
        switch (why)
        {
            case "infinite":
                bits[20 * columns] = 0x7F80;
                break;
            case "no number":
                bits[20 * columns] = 0xFFC1;
                break;
            case "zeros and a bias":
                bits.AsSpan(3 * columns, columns).Clear();
                break;
            case "exceptions":
                bits.AsSpan((20 * columns) + 8, PanelPacking.LeastExceptions + 1).Clear();
                break;
            default:
                break;
        }

        var weight = NarrowWeights.Weight(memory, bits, rows, columns, why == "zeros and a bias" ? new float[rows] : null);
        ops.Adopt(weight);
        Assert.Equal(WeightLayout.Panels, weight.Layout);
        Assert.Equal((long)rows * columns * 2, weight.Bytes);
        for (var row = 0; row < rows; row++)
        {
            Assert.Equal(
                bits.AsSpan(row * columns, columns).ToArray().Select(half => (uint)half << 16),
                NarrowWeights.Row(weight, row).Select(BitConverter.SingleToUInt32Bits));
        }
    }

    [Fact]
    public void Exceptions_of_a_few_large_weights_do_not_push_the_others_out_of_their_window()
    {
        // Largest first: the window that ends there would hold only it.
        const int Rows = 16, Columns = 4096;
        using var memory = new NativeFloats();
        using var ops = NarrowWeights.Ops(1, Columns, 1, narrow: true);
        var bits = NarrowWeights.Within(new Random(1), Rows, Columns);
        bits[7] = (135 << 7) | 3;
        var weight = NarrowWeights.Weight(memory, bits, Rows, Columns);
        ops.Adopt(weight);
        Assert.Equal(WeightLayout.NarrowPanels, weight.Layout);
        Assert.Equal(bits[..Columns].Select(half => (uint)half << 16), NarrowWeights.Row(weight, 0).Select(BitConverter.SingleToUInt32Bits));
    }

    private static void AreTheSame(int rows, int columns, int count, bool withBias, int threads, int seed)
    {
        var random = new Random(seed);
        var bits = NarrowWeights.Within(random, rows, columns);
        var x = NativeFloats.Random(random, (long)count * columns);
        var bias = withBias ? NativeFloats.Random(random, rows) : null;
        var expected = Product(bits, x, bias, rows, columns, count, threads, narrow: false);
        Assert.Equal(expected, Product(bits, x, bias, rows, columns, count, threads, narrow: true));
    }

    private static float[] Product(
        ushort[] bits, float[] x, float[]? bias, int rows, int columns, int count, int threads, bool narrow)
    {
        using var memory = new NativeFloats();
        using var ops = NarrowWeights.Ops(count, columns, threads, narrow);
        var weight = NarrowWeights.Weight(memory, bits, rows, columns, bias);
        ops.Adopt(weight);
        Assert.Equal(narrow ? WeightLayout.NarrowPanels : WeightLayout.Panels, weight.Layout);
        var y = memory.Empty(count, rows);
        ops.Linear(memory.Activation(x, count, columns), weight, y, count);
        return [.. Enumerable.Range(0, count).SelectMany(row => y.Row(row).ToArray())];
    }

    private static void Agree(int rows, int columns, int count, bool withBias, int threads, int seed)
    {
        var random = new Random(seed);
        var bits = NarrowWeights.WithExceptions(random, rows, columns, 1 + (seed % 5));
        var x = NativeFloats.Random(random, (long)count * columns);
        var bias = withBias ? NativeFloats.Random(random, rows) : null;
        var y = Product(bits, x, bias, rows, columns, count, threads, narrow: true);
        double[] roundedX = [.. x.Select(v => (double)NativeFloats.Stored(v, ElementType.BFloat16))];
        for (var m = 0; m < count; m++)
        {
            for (var n = 0; n < rows; n++)
            {
                double sum = bias?[n] ?? 0, magnitude = Math.Abs(sum);
                for (var k = 0; k < columns; k++)
                {
                    var product = roundedX[(m * columns) + k] * BFloat.ToSingle(bits[(n * columns) + k]);
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                Assert.InRange(y[(m * rows) + n], sum - (magnitude * (columns + 16) * 6e-8) - 1e-30, sum + (magnitude * (columns + 16) * 6e-8) + 1e-30);
            }
        }
    }
}
