using System.Diagnostics;
using System.Globalization;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Cpu.RowMajor;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Benchmarks;

/// <summary>Measures matrix products of few rows against the memory's read bandwidth and against libtorch, round about, in one run.</summary>
internal static unsafe class GemmTable
{
    private const long PoolBytes = 1L << 29;
    private static readonly int[] Counts = [1, 2, 4, 8, 12, 16, 24, 32, 64, 128];
    private static readonly bool HasNative = NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16);
    private static readonly (int Columns, int Rows)[] Shapes = [(2048, 3072), (2048, 2048), (2048, 16384), (8192, 2048)];

    /// <summary>Prints gigabytes of weights per second, best of so many rounds.</summary>
    /// <remarks>With one thread by its processor time, which other programs disturb less; with more by the clock.</remarks>
    public static void Print(TextWriter output, int rounds, int threads)
    {
        using var weights = DramBandwidth.Filled(PoolBytes);
        var dram = DramBandwidth.Best(weights, threads, 10);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dram read, {threads} thread(s): {dram:F1} GB/s"));
        output.WriteLine("K x N, M: GB/s of weights (GFLOP/s): native bf16, C# bf16, libtorch bf16, C# f32");
        foreach (var (columns, rows) in Shapes)
        {
            foreach (var count in Counts)
            {
                output.WriteLine(Row(weights, columns, rows, count, threads, rounds));
            }
        }
    }

    private static string Row(NativeBuffer weights, int columns, int rows, int count, int threads, int rounds)
    {
        using var arena = new ActivationArena(
            ActivationArena.BytesFor(count, columns) + ActivationArena.BytesFor(count, rows));
        var x = arena.Carve(count, columns);
        var y = arena.Carve(count, rows);
        new Span<float>(x.Data, count * columns).Fill(0.5f);
        using var ops = new CpuOps(Shape(columns, count), threads);
        using var pool = new ForkJoinPool(threads);
        using var library = new TorchProduct(pool, count, columns);
        using var panels = HasNative ? new PanelProduct(pool, count, columns) : null;
        double native = double.MaxValue, own = double.MaxValue, torch = double.MaxValue, single = double.MaxValue;
        for (var round = 0; round < rounds; round++)
        {
            // The order of the elements does not matter to the speed, so any bytes are weights in panels.
            var rounded = Weight(weights, ElementType.BFloat16, rows, columns, round + 2);
            native = panels is null ? double.NaN : Math.Min(native, Seconds(threads, () => panels.Multiply(x, rounded, y, count)));
            rounded = Weight(weights, ElementType.BFloat16, rows, columns, round);
            own = Math.Min(own, Seconds(threads, () => ops.OwnLinear(x, rounded, y, count)));
            rounded = Weight(weights, ElementType.BFloat16, rows, columns, round + 1);
            torch = Math.Min(torch, Seconds(threads, () => library.Multiply(x, rounded, y, count)));
            var wide = Weight(weights, ElementType.Float32, rows, columns, round);
            single = Math.Min(single, Seconds(threads, () => ops.OwnLinear(x, wide, y, count)));
        }

        var elements = (double)rows * columns;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{columns,5} x {rows,5}, M {count,3}: {Figure(native, 2),18} {Figure(own, 2),18} {Figure(torch, 2),18} {Figure(single, 4),18}");

        string Figure(double seconds, int bytes) => string.Create(
            CultureInfo.InvariantCulture, $"{elements * bytes / seconds / 1e9:F1} ({elements * 2 * count / seconds / 1e9:F0})");
    }

    // Each round reads other weights, so that no cache holds them.
    private static WeightMatrix Weight(NativeBuffer weights, ElementType type, int rows, int columns, int round)
    {
        var bytes = (long)rows * columns * type.Bytes();
        var places = PoolBytes / bytes;
        return new WeightMatrix(weights.Pointer + (bytes * (round * 7 % places)), type, rows, columns);
    }

    private static double Seconds(int threads, Action action)
    {
        if (threads == 1)
        {
            var before = ThreadClock.Seconds();
            action();
            return ThreadClock.Seconds() - before;
        }

        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static OpsShape Shape(int columns, int rows) =>
        new(rows, rows, 16, columns, columns, 16, new AttentionShape(1, 1, 64, 1f, 0));
}
