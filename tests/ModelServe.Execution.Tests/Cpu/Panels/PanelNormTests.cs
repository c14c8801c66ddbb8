using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Normalised products with weights in panels, against double precision.</summary>
public sealed unsafe class PanelNormTests
{
    private const float Epsilon = 1e-5f;

    private static readonly Gen<(int Rows, int Pairs, int Count, bool Pending, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 200], Gen.Int[1, 70], Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Any_shape_agrees_with_double_precision() =>
        Cases.Sample(c => Agrees(c.Rows, 2 * c.Pairs, c.Count, c.Pending, c.Threads, c.Seed), iter: 150, threads: 1);

    [Theory]
    [InlineData(1)]
    [InlineData(13)]
    public void Wide_rows_agree(int count) => Agrees(32, 2048 + 22, count, withPending: true, threads: 2, seed: 3);

    [Fact]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads()
    {
        const int Rows = 130, Columns = 278, Most = 70;
        Needs();
        var random = new Random(11);
        using var memory = new NativeFloats();
        using var ops = new CpuOps(Shape(Most, Columns), 3, NativeCpuFeatures.Avx512BFloat16);
        var weight = memory.Weight(NativeFloats.Random(random, Rows * Columns), ElementType.BFloat16, Rows, Columns);
        ops.Adopt(weight);
        var x = NativeFloats.Random(random, Most * Columns);
        var delta = memory.Activation(NativeFloats.Random(random, Most * Columns), Most, Columns);
        var gain = memory.Vector(NativeFloats.Random(random, Columns));
        var expected = memory.Empty(Most, Rows);
        ops.NormLinear(memory.Activation(x, Most, Columns), delta, gain, Epsilon, memory.Empty(Most, Columns), weight, expected, Most);
        for (var count = 1; count < Most; count++)
        {
            var residual = memory.Activation(x, Most, Columns);
            var y = memory.Empty(Most, Rows);
            ops.NormLinear(residual, delta, gain, Epsilon, memory.Empty(Most, Columns), weight, y, count);
            for (var row = 0; row < count; row++)
            {
                Assert.True(expected.Row(row).SequenceEqual(y.Row(row)), $"row {row} of {count}");
            }

            Assert.True(float.IsNaN(y.Row(count)[0]), $"row {count} was written");
            Assert.True(residual.Row(count).SequenceEqual(x.AsSpan(count * Columns, Columns)), $"row {count} was added to");
        }
    }

    private static void Needs() => Assert.SkipUnless(
        NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");

    private static void Agrees(int rows, int columns, int count, bool withPending, int threads, int seed)
    {
        Needs();
        var random = new Random(seed);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, (long)count * columns);
        var delta = NativeFloats.Random(random, (long)count * columns);
        var gain = NativeFloats.Random(random, columns);
        var w = NativeFloats.Random(random, (long)rows * columns);
        using var ops = new CpuOps(Shape(count, columns), threads, NativeCpuFeatures.Avx512BFloat16);
        var weight = memory.Weight(w, ElementType.BFloat16, rows, columns);
        ops.Adopt(weight);
        var residual = memory.Activation(x, count, columns);
        var pending = withPending ? memory.Activation(delta, count, columns) : null;
        var y = memory.Empty(count, rows);
        ops.NormLinear(residual, pending, memory.Vector(gain), Epsilon, memory.Empty(count, columns), weight, y, count);
        for (var m = 0; m < count; m++)
        {
            var sums = x.AsSpan(m * columns, columns).ToArray();
            for (var k = 0; withPending && k < columns; k++)
            {
                sums[k] += delta[(m * columns) + k];
            }

            Assert.True(residual.Row(m).SequenceEqual(sums), $"residual of row {m}");
            var factor = 1 / Math.Sqrt((sums.Sum(value => (double)value * value) / columns) + Epsilon);
            for (var n = 0; n < rows; n++)
            {
                double sum = 0, magnitude = 0;
                for (var k = 0; k < columns; k++)
                {
                    var product = sums[k] * factor * gain[k] * NativeFloats.Stored(w[(n * columns) + k], ElementType.BFloat16);
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                // The activations are rounded to eight bits.
                Assert.InRange(y.Row(m)[n], sum - (magnitude / 250), sum + (magnitude / 250));
            }
        }
    }

    private static OpsShape Shape(int rows, int columns) => new(rows, rows, 16, columns, 16, 16, new AttentionShape(1, 1, 16, 1f, 0));
}
