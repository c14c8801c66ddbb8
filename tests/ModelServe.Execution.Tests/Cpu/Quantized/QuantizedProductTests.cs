using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Quantized;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Quantized;

/// <summary>Quantised products: each kernel against sums of whole numbers in double precision, and all kernels bit for bit alike.</summary>
public sealed unsafe class QuantizedProductTests
{
    private static readonly Gen<(int Rows, int Columns, int Count, bool Four, bool Bias, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 70], Gen.Int[1, 400], Gen.Int[1, 30], Gen.Bool, Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    public static TheoryData<QuantizedFormat> Formats { get; } = [QuantizedFormat.Int8, QuantizedFormat.Int4];

    [Fact]
    public void Any_shape_agrees_with_the_sum_in_double_precision_on_every_path() => Cases.Sample(
        c => Agrees(c.Rows, c.Columns, c.Count, Format(c.Four), c.Bias, c.Threads, c.Seed), iter: 200, threads: 1);

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_count_of_rows_up_to_70_agrees(QuantizedFormat format)
    {
        for (var count = 1; count <= 70; count++)
        {
            Agrees(35, 130, count, format, withBias: true, threads: 2, seed: count);
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_shape_that_is_shared_among_threads_agrees(QuantizedFormat format) =>
        Agrees(1030, 900, 37, format, withBias: true, threads: 3, seed: 7);

    [Theory]
    [MemberData(nameof(Formats))]
    public void More_rows_than_are_quantised_at_a_time_agree(QuantizedFormat format) =>
        Agrees(18, 70, 1100, format, withBias: false, threads: 2, seed: 9);

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads(QuantizedFormat format)
    {
        const int Rows = 1027, Columns = 540, Most = 26;
        var random = new Random(11);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, Most * Columns);
        var weight = memory.Quantized(NativeFloats.Random(random, Rows * Columns), format, Rows, Columns);
        foreach (var path in Paths())
        {
            using var alone = new Product(Most, Columns, 1, path);
            using var shared = new Product(Most, Columns, 3, path);
            var expected = memory.Empty(Most, Rows);
            for (var row = 0; row < Most; row++)
            {
                var single = memory.Activation(x[(row * Columns)..((row + 1) * Columns)], 1, Columns);
                alone.Multiply(single, weight, new Activation(expected.Data + (row * Rows), 1, Rows), 1);
            }

            for (var count = 1; count <= Most; count += 5)
            {
                var y = memory.Empty(Most, Rows);
                shared.Multiply(memory.Activation(x, Most, Columns), weight, y, count);
                for (var row = 0; row < count; row++)
                {
                    Assert.True(expected.Row(row).SequenceEqual(y.Row(row)), $"{path}: row {row} of {count}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void The_largest_sums_do_not_overflow(QuantizedFormat format)
    {
        // Every product of a group is as large as it gets, and of one sign.
        const int Rows = 16, Columns = 256;
        using var memory = new NativeFloats();
        var weights = Enumerable.Repeat(-1f, Rows * Columns).ToArray();
        var x = Enumerable.Repeat(3f, Columns).ToArray();
        var weight = memory.Quantized(weights, format, Rows, Columns);
        foreach (var path in Paths())
        {
            using var product = new Product(1, Columns, 1, path);
            var y = memory.Empty(1, Rows);
            product.Multiply(memory.Activation(x, 1, Columns), weight, y, 1);
            Assert.All(y.Row(0).ToArray(), value => Assert.InRange(value, -3.01f * Columns, -2.99f * Columns));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void An_activation_that_is_no_number_spoils_its_own_row_only(float value)
    {
        const int Rows = 20, Columns = 200, Count = 5;
        using var memory = new NativeFloats();
        var random = new Random(3);
        var weight = memory.Quantized(NativeFloats.Random(random, Rows * Columns), QuantizedFormat.Int8, Rows, Columns);
        var x = NativeFloats.Random(random, Count * Columns);
        x[(2 * Columns) + 77] = value;
        foreach (var path in Paths())
        {
            using var product = new Product(Count, Columns, 1, path);
            var y = memory.Empty(Count, Rows);
            product.Multiply(memory.Activation(x, Count, Columns), weight, y, Count);
            for (var row = 0; row < Count; row++)
            {
                Assert.All(y.Row(row).ToArray(), result => Assert.Equal(row == 2, float.IsNaN(result)));
            }
        }
    }

    [Fact]
    public void Rows_beyond_the_given_count_are_not_written()
    {
        using var memory = new NativeFloats();
        foreach (var path in Paths())
        {
            using var product = new Product(8, 64, 1, path);
            var y = memory.Empty(8, 12);
            product.Multiply(memory.Activation(new float[8 * 64], 8, 64), memory.Quantized(new float[12 * 64], QuantizedFormat.Int4, 12, 64), y, 5);
            Assert.All(y.Row(4).ToArray(), value => Assert.Equal(0f, value));
            Assert.All(y.Row(5).ToArray(), value => Assert.True(float.IsNaN(value)));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public void A_product_allocates_nothing(int count)
    {
        using var memory = new NativeFloats();
        var x = memory.Activation(new float[count * 1024], count, 1024);
        var weight = memory.Quantized(new float[1024 * 1024], QuantizedFormat.Int4, 1024, 1024);
        var y = memory.Empty(count, 1024);
        foreach (var path in Paths())
        {
            using var product = new Product(count, 1024, 2, path);

            // The runtime itself allocates now and then while it compiles a method again; what a product allocates shows in every round.
            Assert.Equal(0, Enumerable.Range(0, 10).Min(_ => Allocated(() => product.Multiply(x, weight, y, count))));
        }

        static long Allocated(Action action)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            action();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private static QuantizedFormat Format(bool four) => four ? QuantizedFormat.Int4 : QuantizedFormat.Int8;

    private static IEnumerable<QuantizedPath> Paths()
    {
        if (NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512Vnni))
        {
            yield return QuantizedPath.Native;
        }

        foreach (var path in new[] { QuantizedPath.Wide, QuantizedPath.Narrow, QuantizedPath.Portable })
        {
            if (QuantizedProduct.Runs(path))
            {
                yield return path;
            }
        }
    }

    private static void Agrees(int rows, int columns, int count, QuantizedFormat format, bool withBias, int threads, int seed)
    {
        var random = new Random(seed);
        using var memory = new NativeFloats();
        var x = NativeFloats.Random(random, (long)count * columns);
        var b = withBias ? NativeFloats.Random(random, rows) : null;
        var weight = memory.Quantized(
            NativeFloats.Random(random, (long)rows * columns), format, rows, columns, b is null ? null : memory.Vector(b));
        Activation? first = null;
        foreach (var path in Paths())
        {
            var y = memory.Empty(count, rows);
            using var product = new Product(count, columns, threads, path);
            product.Multiply(memory.Activation(x, count, columns), weight, y, count);
            if (first is null)
            {
                Compare(x, weight, b, count, y);
                first = y;
            }

            for (var row = 0; row < count; row++)
            {
                Assert.True(first.Row(row).SequenceEqual(y.Row(row)), $"{path}: row {row}");
            }
        }
    }

    // Plain loops over what the formats mean: nearest of 127 steps to either side, group by group.
    private static void Compare(float[] x, WeightMatrix weight, float[]? bias, int count, Activation y)
    {
        var wide = new float[weight.Rows * weight.Columns];
        fixed (float* target = wide)
        {
            for (var row = 0; row < weight.Rows; row++)
            {
                QuantizedRow.Widen(weight.Quantized!.Value, (byte*)weight.Data, row, target + (row * weight.Columns));
            }
        }

        for (var m = 0; m < count; m++)
        {
            var rounded = new double[weight.Columns];
            for (var start = 0; start < weight.Columns; start += 64)
            {
                var group = x.AsSpan((m * weight.Columns) + start, Math.Min(64, weight.Columns - start));
                var largest = 0f;
                foreach (var value in group)
                {
                    largest = Math.Max(largest, Math.Abs(value));
                }

                for (var i = 0; i < group.Length; i++)
                {
                    rounded[start + i] = largest == 0 ? 0 : Math.Round((double)(group[i] * (127f / largest))) * (largest / 127f);
                }
            }

            for (var n = 0; n < weight.Rows; n++)
            {
                double sum = bias?[n] ?? 0, magnitude = Math.Abs(sum);
                for (var k = 0; k < weight.Columns; k++)
                {
                    var product = rounded[k] * wide[(n * weight.Columns) + k];
                    sum += product;
                    magnitude += Math.Abs(product);
                }

                // A few roundings a group of 64 columns.
                var tolerance = magnitude * ((weight.Columns / 32.0) + 8) * 6e-8;
                Assert.InRange(y.Row(m)[n], sum - tolerance, sum + tolerance);
            }
        }
    }

    /// <summary>A product with its pool.</summary>
    private sealed class Product(int rows, int columns, int threads, QuantizedPath path) : IDisposable
    {
        private readonly ForkJoinPool _pool = new(threads);
        private QuantizedProduct? _product;

        public void Multiply(Activation x, WeightMatrix weight, Activation y, int count)
        {
            _product ??= new QuantizedProduct(_pool, rows, columns, path);
            _product.Multiply(x, weight, y, count);
        }

        public void Dispose()
        {
            _product?.Dispose();
            _pool.Dispose();
        }
    }
}
