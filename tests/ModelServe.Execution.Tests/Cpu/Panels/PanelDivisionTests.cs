using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Products with weights in panels, divided among threads by panels and by rows: every row has the bits that it has alone.</summary>
public sealed unsafe class PanelDivisionTests
{
    private const int Features = 272;
    private const int Columns = 278;
    private const int Most = 300;
    private const float Epsilon = 1e-5f;

    // By panels, by rows, by both, in groups of one thread.
    private static readonly int[] Counts = [.. Enumerable.Range(17, 54), 95, 96, 97, 98, 109, 255, 257, 258, 299];

    public static TheoryData<int> Threads { get; } = [1, 2, 3, 4];

    [Theory]
    [MemberData(nameof(Threads))]
    public void A_product_s_rows_are_what_they_are_alone(int threads)
    {
        using var bench = new Bench(threads);
        foreach (var count in Counts)
        {
            bench.Check(count, bench.Plain);
        }
    }

    [Theory]
    [MemberData(nameof(Threads))]
    public void A_normalised_product_s_rows_are_what_they_are_alone_and_what_is_pending_is_added_once(int threads)
    {
        using var bench = new Bench(threads);
        foreach (var count in Counts)
        {
            bench.Check(count, bench.Normed);
        }
    }

    [Theory]
    [MemberData(nameof(Threads))]
    public void A_gated_product_s_rows_are_what_they_are_alone_and_what_is_pending_is_added_once(int threads)
    {
        using var bench = new Bench(threads);
        foreach (var count in Counts)
        {
            bench.Check(count, bench.Gated);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Rows_of_a_thread_that_is_left_out_are_done_by_the_others(int threads)
    {
        using var bench = new Bench(threads);
        bench.LeaveOut();
        foreach (var count in (int[])[33, 64, 120])
        {
            bench.Check(count, bench.Gated);
        }
    }

    [Theory]
    [InlineData(24, 2, 1)]
    [InlineData(25, 2, 2)]
    [InlineData(512, 1, 1)]
    [InlineData(54, 3, 1)]
    [InlineData(55, 3, 3)]
    [InlineData(48, 4, 1)]
    [InlineData(49, 4, 2)]
    [InlineData(97, 4, 4)]
    [InlineData(512, 16, 4)]
    public void Rows_are_divided_where_there_are_enough_for_every_reading_of_the_weights(int rows, int threads, int shares) =>
        Assert.Equal(shares, PanelCut.RowShares(rows, threads));

    [Fact]
    public void Shares_and_groups_of_every_division_cover_all_panels_of_all_rows()
    {
        PanelProductArguments product = default;
        product.Columns = 64;
        for (var threads = 1; threads <= 8; threads++)
        {
            for (product.Count = 1; product.Count <= 1100; product.Count += 7)
            {
                for (product.Rows = 16; product.Rows <= 400; product.Rows += 56)
                {
                    var cut = PanelCut.Of(&product, threads);
                    Assert.InRange(cut.Shares, 1, threads);
                    Assert.InRange(cut.Groups, 1, PanelCut.MostGroups(product.Count, threads));
                    Assert.Equal(0, cut.FirstUnit(0));
                    Assert.Equal(cut.Units, cut.FirstUnit(cut.Shares));
                    Assert.True(cut.GroupUnits * cut.UnitPanels >= product.OwnPanels && (cut.GroupUnits - 1) * cut.UnitPanels < product.OwnPanels);
                    Assert.Equal(product.Count, Rows(product, cut.Groups));
                }
            }
        }

        static int Rows(PanelProductArguments product, int groups) => Enumerable.Range(0, groups).Sum(group => product.Group(group, groups).Count);
    }

    private sealed class Bench : IDisposable
    {
        private readonly ForkJoinPool _pool;
        private readonly ForkJoinPool _alone = new(1);
        private readonly PanelProduct _product;
        private readonly PanelProduct _single;
        private readonly NativeFloats _memory = new();
        private readonly float[] _x;
        private readonly Activation _delta;
        private readonly WeightVector _gain;
        private readonly WeightMatrix _weight;
        private readonly Activation _scratch;

        public Bench(int threads)
        {
            Assert.SkipUnless(
                NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");
            var random = new Random(7);
            _pool = new ForkJoinPool(threads);
            _product = new PanelProduct(_pool, Most, Columns);
            _single = new PanelProduct(_alone, 1, Columns);
            _x = NativeFloats.Random(random, Most * Columns);
            _delta = _memory.Activation(NativeFloats.Random(random, Most * Columns), Most, Columns);
            _gain = _memory.Vector(NativeFloats.Random(random, Columns));
            var bias = _memory.Vector(NativeFloats.Random(random, 2 * Features));
            _weight = _memory.Weight(NativeFloats.Random(random, 2 * Features * Columns), ElementType.BFloat16, 2 * Features, Columns, bias);
            _single.Pack(_weight);
            _scratch = _memory.Empty(Most, 2 * Features);
        }

        public int Plain(PanelProduct product, Activation x, Activation delta, Activation output, int rows)
        {
            product.Multiply(x, _weight, output, rows);
            return 2 * Features;
        }

        public int Normed(PanelProduct product, Activation x, Activation delta, Activation output, int rows)
        {
            product.MultiplyNormed(x, delta, _gain, Epsilon, _weight, output, rows);
            return 2 * Features;
        }

        public int Gated(PanelProduct product, Activation x, Activation delta, Activation output, int rows)
        {
            product.MultiplyGated(x, delta, _gain, Epsilon, _weight, _scratch, output, rows);
            return Features;
        }

        public void Check(int count, Func<PanelProduct, Activation, Activation, Activation, int, int> multiply)
        {
            using var memory = new NativeFloats();
            var x = memory.Activation(_x, Most, Columns);
            var alone = memory.Activation(_x, Most, Columns);
            var y = memory.Empty(Most, 2 * Features);
            var expected = memory.Empty(1, 2 * Features);
            var width = multiply(_product, x, _delta, y, count);
            for (var row = 0; row < count; row++)
            {
                var offset = row * Columns;
                var single = new Activation(alone.Data + offset, 1, Columns);
                multiply(_single, single, new Activation(_delta.Data + offset, 1, Columns), expected, 1);
                Assert.True(expected.Row(0)[..width].SequenceEqual(y.Row(row)[..width]), $"row {row} of {count}");
                Assert.True(single.Row(0).SequenceEqual(x.Row(row)), $"the sum in row {row} of {count}");
            }

            Assert.True(float.IsNaN(y.Row(count)[0]), $"row {count} was written");
            Assert.True(x.Row(count).SequenceEqual(_x.AsSpan(count * Columns, Columns)), $"row {count} was added to");
        }

        // Until a thread has held calls up often enough, as if its processor had been given to another program.
        public void LeaveOut()
        {
            var lateness = stackalloc int[2];
            lateness[0] = Environment.CurrentManagedThreadId;
            for (var call = 0; call < 1000 && _pool.LeftOut == 0; call++)
            {
                lateness[1] = 0;
                _pool.Run(&BeLate, lateness, 4 * _pool.Threads);
            }

            Assert.InRange(_pool.LeftOut, 1, _pool.Threads - 1);
        }

        public void Dispose()
        {
            _product.Dispose();
            _single.Dispose();
            _pool.Dispose();
            _alone.Dispose();
            _memory.Dispose();
        }

        private static void BeLate(void* context, int part, int parts)
        {
            var lateness = (int*)context;
            if (Environment.CurrentManagedThreadId != lateness[0])
            {
                Volatile.Write(ref lateness[1], 1);
                using var never = new ManualResetEventSlim(false);
                never.Wait(5);
                return;
            }

            for (var spins = 0; spins < 20_000 && Volatile.Read(ref lateness[1]) == 0; spins++)
            {
                Thread.SpinWait(20);
            }
        }
    }
}
