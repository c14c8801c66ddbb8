using CsCheck;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Cpu;
using Xunit;

namespace ModelServe.Execution.Tests.Quantization;

/// <summary>What rounding weights to a few bits keeps, bounds and refuses.</summary>
public sealed unsafe class RowQuantizerTests
{
    private static readonly Gen<(int Columns, bool Four, int Exponent, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 300], Gen.Bool, Gen.Int[-28, 36], Gen.Int[0, 1 << 20]);

    [Fact]
    public void No_element_errs_by_more_than_its_format_allows() => Cases.Sample(
        c =>
        {
            // In any magnitude that a weight can have. In 8 bits half a step; in 4 bits a clipped element may lose more: up to a third.
            var random = new Random(c.Seed);
            var factor = MathF.Pow(10, c.Exponent);
            var row = NativeFloats.Random(random, c.Columns).Select(value => value * factor).ToArray();
            var (back, error) = RoundTrip(row, c.Four ? QuantizedFormat.Int4 : QuantizedFormat.Int8);
            for (var start = 0; start < row.Length; start += 64)
            {
                var group = row.Skip(start).Take(64).ToArray();
                double largest = group.Max(MathF.Abs);
                var bound = largest * (c.Four ? 0.36 : 0.5 / 127 * 1.01);
                for (var i = 0; i < group.Length; i++)
                {
                    Assert.InRange(back[start + i] - (double)group[i], -bound, bound);
                }
            }

            double lost = row.Zip(back).Sum(pair => Square(pair.First - (double)pair.Second)), squares = row.Sum(value => Square(value));
            Assert.Equal(Math.Sqrt(lost / squares), error.Relative, 1e-4);
        },
        iter: 300,
        threads: 1);

    [Theory]
    [InlineData(QuantizedFormat.Int8, 0.0075)]
    [InlineData(QuantizedFormat.Int4, 0.105)]
    public void Normal_weights_lose_little(QuantizedFormat format, double most)
    {
        var (_, error) = RoundTrip(Normal(new Random(1), 1 << 16), format);
        Assert.InRange(error.Relative, most / 3, most);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8)]
    [InlineData(QuantizedFormat.Int4)]
    public void Zeros_stay_zeros(QuantizedFormat format)
    {
        var row = new float[200];
        row[130] = 1;
        var (back, _) = RoundTrip(row, format);
        Assert.InRange(back[130], 0.99f, 1.01f);
        back[130] = 0;
        Assert.All(back, value => Assert.Equal(0f, value));
        Assert.Equal(0, RoundTrip(new float[64], format).Error.Relative);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8)]
    [InlineData(QuantizedFormat.Int4)]
    public void The_largest_numbers_stay_finite(QuantizedFormat format)
    {
        var row = Enumerable.Range(0, 128).Select(i => i % 2 == 0 ? float.MaxValue : -float.MaxValue).ToArray();
        var (back, error) = RoundTrip(row, format);
        Assert.All(back, value => Assert.InRange(Math.Abs(value), float.MaxValue / 1.25, float.MaxValue));
        Assert.InRange(error.Relative, 0, 0.15);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8)]
    [InlineData(QuantizedFormat.Int4)]
    public void Numbers_too_small_to_scale_become_zero_and_count_as_lost(QuantizedFormat format)
    {
        var (back, error) = RoundTrip(Enumerable.Repeat(1e-31f, 64).ToArray(), format);
        Assert.All(back, value => Assert.Equal(0f, value));
        Assert.Equal(1, error.Relative, 1e-6);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8)]
    [InlineData(QuantizedFormat.Int4)]
    public void A_few_large_elements_among_small_ones_show_in_the_error(QuantizedFormat format)
    {
        // 63 elements of just below half a step beside one that is as large as the scale allows.
        var step = 1f / (format == QuantizedFormat.Int8 ? 127 : 8);
        var row = Enumerable.Repeat(step * 0.45f, 64).ToArray();
        row[0] = -1;
        Assert.InRange(RoundTrip(row, format).Error.Relative, format == QuantizedFormat.Int8 ? 0.02 : 0.25, 1);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_number_that_is_none_is_found_in_its_column(float value)
    {
        var row = NativeFloats.Random(new Random(5), 300);
        row[219] = value;
        Assert.Equal(219, First(row));
    }

    [Fact]
    public void Rows_do_not_touch_each_other()
    {
        const int Rows = 21, Columns = 150;
        var random = new Random(8);
        using var memory = new NativeFloats();
        var values = NativeFloats.Random(random, Rows * Columns);
        foreach (var format in Enum.GetValues<QuantizedFormat>())
        {
            var matrix = memory.Quantized(values, format, Rows, Columns);
            var row = new float[Columns];
            for (var i = 0; i < Rows; i++)
            {
                fixed (float* target = row)
                {
                    QuantizedRow.Widen(matrix.Quantized!.Value, (byte*)matrix.Data, i, target);
                }

                Assert.Equal(RoundTrip(values[(i * Columns)..((i + 1) * Columns)], format).Back, row);
            }
        }
    }

    private static double Square(double value) => value * value;

    private static float[] Normal(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private static int First(float[] row)
    {
        using var memory = new NativeFloats();
        var shape = new QuantizedShape(QuantizedFormat.Int8, 1, row.Length);
        QuantizationError error = default;
        return RowQuantizer.Quantize(shape, (byte*)memory.Copy(new float[shape.Bytes / 4]), 0, memory.Copy(Padded(row, shape)), ref error);
    }

    private static (float[] Back, QuantizationError Error) RoundTrip(float[] row, QuantizedFormat format)
    {
        using var memory = new NativeFloats();
        var shape = new QuantizedShape(format, 1, row.Length);
        var data = (byte*)memory.Copy(new float[shape.Bytes / 4]);
        QuantizationError error = default;
        Assert.Equal(-1, RowQuantizer.Quantize(shape, data, 0, memory.Copy(Padded(row, shape)), ref error));
        var back = memory.Copy(new float[row.Length]);
        QuantizedRow.Widen(shape, data, 0, back);
        return (new ReadOnlySpan<float>(back, row.Length).ToArray(), error);
    }

    private static float[] Padded(float[] row, QuantizedShape shape)
    {
        var padded = new float[shape.PaddedColumns];
        row.CopyTo(padded, 0);
        return padded;
    }
}
