using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.RowMajor;

/// <summary>Products against sums in double precision, and a row's independence of the rows beside it.</summary>
public sealed unsafe class LinearTests
{
    private static readonly Gen<(int Rows, int Columns, int Count, bool Rounded, bool Bias, bool Wide, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 70], Gen.Int[1, 200], Gen.Int[1, 17], Gen.Bool, Gen.Bool, Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Any_shape_agrees_with_the_sum_in_double_precision() => Cases.Sample(
        c => Agrees(c.Rows, c.Columns, c.Count, c.Rounded ? ElementType.BFloat16 : ElementType.Float32, c.Bias, c.Wide, c.Threads, c.Seed),
        iter: 300,
        threads: 1);

    [Theory]
    [InlineData(ElementType.BFloat16, true)]
    [InlineData(ElementType.BFloat16, false)]
    [InlineData(ElementType.Float32, true)]
    [InlineData(ElementType.Float32, false)]
    public void A_shape_that_is_shared_among_threads_agrees(ElementType type, bool wide) =>
        Agrees(1030, 992, 5, type, withBias: true, wide, threads: 2, seed: 7);

    [Theory]
    [InlineData(ElementType.Float32, 300)]
    [InlineData(ElementType.BFloat16, 32)]
    public void Many_rows_agree(ElementType type, int count) => Agrees(36, 96, count, type, withBias: true, wide: true, threads: 2, seed: 3);

    [Theory]
    [InlineData(ElementType.BFloat16, true)]
    [InlineData(ElementType.BFloat16, false)]
    [InlineData(ElementType.Float32, true)]
    [InlineData(ElementType.Float32, false)]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads(ElementType type, bool wide)
    {
        const int Rows = 1027, Columns = 540, Most = 17;
        var random = new Random(11);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, Most * Columns);
        var weight = memory.Weight(NativeFloats.Random(random, Rows * Columns), type, Rows, Columns);
        using var alone = new CpuOps(Shape(Most, Columns), 1, wide: wide);
        using var shared = new CpuOps(Shape(Most, Columns), 3, wide: wide);
        RowIndependence.Check(alone, shared, x, weight, Most);
    }

    [Fact]
    public void Rows_beyond_the_given_count_are_not_written()
    {
        using var memory = new NativeFloats();
        using var ops = new CpuOps(Shape(8, 64), 1);
        var y = memory.Empty(8, 12);
        ops.Linear(memory.Activation(new float[8 * 64], 8, 64), memory.Weight(new float[12 * 64], ElementType.Float32, 12, 64), y, 5);
        Assert.All(y.Row(5).ToArray(), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void Many_rows_of_large_rounded_weights_agree_to_the_rounding_of_activations_and_results()
    {
        const int Rows = 4100, Columns = 288, Count = 40;
        var random = new Random(5);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, Count * Columns);
        var w = NativeFloats.Random(random, Rows * Columns);
        var b = NativeFloats.Random(random, Rows);
        using var ops = new CpuOps(Shape(Count, Columns), 2);
        var weight = memory.Weight(w, ElementType.BFloat16, Rows, Columns, memory.Vector(b));
        ops.Adopt(weight);
        var y = memory.Empty(Count, Rows);
        ops.Linear(memory.Activation(x, Count, Columns), weight, y, Count);

        // The operands are rounded alike here; what is left is the sum's own error and the rounding of the result, before the bias (2^-8).
        Compare(
            [.. x.Select(v => NativeFloats.Stored(v, ElementType.BFloat16))], w, b, ElementType.BFloat16, Rows, Columns, Count, y, 1.0 / 256);
    }

    [Theory]
    [InlineData(17, true)]
    [InlineData(40, false)]
    [InlineData(70, true)]
    [InlineData(300, true)]
    public void Many_rows_of_large_rounded_weights_need_no_libtorch(int count, bool wide)
    {
        const int Rows = 4100, Columns = 288;
        var random = new Random(5);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, count * Columns);
        var w = NativeFloats.Random(random, Rows * Columns);
        using var ops = new CpuOps(Shape(count, Columns), 2, wide: wide, library: false);
        var weight = memory.Weight(w, ElementType.BFloat16, Rows, Columns);
        ops.Adopt(weight);
        var y = memory.Empty(count, Rows);
        ops.Linear(memory.Activation(x, count, Columns), weight, y, count);

        // Sums of float32 activations, which libtorch would have rounded.
        Compare(x, w, null, ElementType.BFloat16, Rows, Columns, count, y, 0);
    }

    private static void Agrees(int rows, int columns, int count, ElementType type, bool withBias, bool wide, int threads, int seed)
    {
        var random = new Random(seed);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, (long)count * columns);
        var w = NativeFloats.Random(random, (long)rows * columns);
        var b = withBias ? NativeFloats.Random(random, rows) : null;
        using var ops = new CpuOps(Shape(count, columns), threads, wide: wide);
        var y = memory.Empty(count, rows);
        var weight = memory.Weight(w, type, rows, columns, b is null ? null : memory.Vector(b));
        ops.Linear(memory.Activation(x, count, columns), weight, y, count);
        Compare(x, w, b, type, rows, columns, count, y, 0);
    }

    private static void Compare(
        float[] x, float[] w, float[]? b, ElementType type, int rows, int columns, int count, Activation y, double resultRounding)
    {
        for (var m = 0; m < count; m++)
        {
            for (var n = 0; n < rows; n++)
            {
                double sum = b?[n] ?? 0, magnitude = Math.Abs(sum);
                for (var k = 0; k < columns; k++)
                {
                    var product = (double)x[((long)m * columns) + k] * NativeFloats.Stored(w[((long)n * columns) + k], type);
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                // Each of columns / 16 + 6 additions in a lane, and across lanes, errs by at most half a unit of the running sum.
                var tolerance = (magnitude * ((columns / 8.0) + 8) * 6e-8) + (resultRounding * (Math.Abs(sum) + Math.Abs(b?[n] ?? 0)));
                Assert.InRange(y.Row(m)[n], sum - tolerance, sum + tolerance);
            }
        }
    }

    private static OpsShape Shape(int rows, int columns) => new(rows, rows, 16, columns, 16, 16, new AttentionShape(1, 1, 16, 1f, 0));
}
