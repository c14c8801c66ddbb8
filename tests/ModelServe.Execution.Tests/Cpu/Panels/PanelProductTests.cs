using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Products with weights in panels, against sums in double precision of the same rounded numbers.</summary>
public sealed unsafe class PanelProductTests
{
    private static readonly Gen<(int Rows, int Pairs, int Count, bool Bias, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 150], Gen.Int[1, 100], Gen.Int[1, 70], Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Any_shape_agrees_with_the_sum_in_double_precision() =>
        Cases.Sample(c => Agrees(c.Rows, 2 * c.Pairs, c.Count, c.Bias, c.Threads, c.Seed), iter: 150, threads: 1);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(29)]
    public void Columns_beyond_one_pass_agree(int count) => Agrees(40, 2 * 4096 + 70, count, withBias: true, threads: 2, seed: 3);

    [Fact]
    public void A_shape_that_is_shared_among_threads_agrees() => Agrees(2055, 640, 9, withBias: true, threads: 3, seed: 5);

    [Fact]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads()
    {
        const int Rows = 1030, Columns = 512, Most = 70;
        Needs();
        var random = new Random(11);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, Most * Columns);
        var w = NativeFloats.Random(random, Rows * Columns);
        using var alone = new CpuOps(Shape(Most, Columns), 1, NativeCpuFeatures.Avx512BFloat16);
        using var shared = new CpuOps(Shape(Most, Columns), 3, NativeCpuFeatures.Avx512BFloat16);
        var weight = memory.Weight(w, ElementType.BFloat16, Rows, Columns);
        alone.Adopt(weight);
        RowIndependence.Check(alone, shared, x, weight, Most);
    }

    [Fact]
    public void Every_row_of_a_packed_table_is_read_back()
    {
        const int Rows = 53, Columns = 74;
        Needs();
        using var memory = new NativeFloats();
        var w = NativeFloats.Random(new Random(2), Rows * Columns);
        var weight = memory.Weight(w, ElementType.BFloat16, Rows, Columns);
        using var ops = new CpuOps(Shape(1, Columns), 2, NativeCpuFeatures.Avx512BFloat16);
        ops.Adopt(weight);
        Assert.Equal(WeightLayout.Panels, weight.Layout);
        var y = memory.Empty(1, Columns);
        for (var row = 0; row < Rows; row++)
        {
            NativePanelMethods.ms_cpu_bf16_row((ushort*)weight.Data, Rows, Columns, row, y.Data);
            Assert.Equal(w[(row * Columns)..((row + 1) * Columns)].Select(v => NativeFloats.Stored(v, ElementType.BFloat16)), y.Row(0).ToArray());
        }
    }

    [Fact]
    public void A_weight_with_an_odd_number_of_columns_stays_as_it_is()
    {
        using var memory = new NativeFloats();
        Needs();
        var weight = memory.Weight(new float[33], ElementType.BFloat16, 3, 11);
        using var ops = new CpuOps(Shape(1, 11), 1, NativeCpuFeatures.Avx512BFloat16);
        ops.Adopt(weight);
        Assert.Equal(WeightLayout.RowMajor, weight.Layout);
    }

    private static void Needs() => Assert.SkipUnless(
        NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");

    private static void Agrees(int rows, int columns, int count, bool withBias, int threads, int seed)
    {
        Needs();
        var random = new Random(seed);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, (long)count * columns);
        var w = NativeFloats.Random(random, (long)rows * columns);
        var b = withBias ? NativeFloats.Random(random, rows) : null;
        using var ops = new CpuOps(Shape(count, columns), threads, NativeCpuFeatures.Avx512BFloat16);
        var weight = memory.Weight(w, ElementType.BFloat16, rows, columns, b is null ? null : memory.Vector(b));
        ops.Adopt(weight);
        var y = memory.Empty(count, rows);
        ops.Linear(memory.Activation(x, count, columns), weight, y, count);
        double[] roundedX = [.. x.Select(v => (double)NativeFloats.Stored(v, ElementType.BFloat16))];
        double[] roundedW = [.. w.Select(v => (double)NativeFloats.Stored(v, ElementType.BFloat16))];
        for (var m = 0; m < count; m++)
        {
            for (var n = 0; n < rows; n++)
            {
                double sum = b?[n] ?? 0, magnitude = Math.Abs(sum);
                for (var k = 0; k < columns; k++)
                {
                    var product = roundedX[(m * columns) + k] * roundedW[(n * columns) + k];
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                // Every addition of a pair errs by at most a unit of the running sum.
                Assert.InRange(y.Row(m)[n], sum - (magnitude * (columns + 8) * 6e-8), sum + (magnitude * (columns + 8) * 6e-8));
            }
        }
    }

    private static OpsShape Shape(int rows, int columns) => new(rows, rows, 16, columns, 16, 16, new AttentionShape(1, 1, 16, 1f, 0));
}
