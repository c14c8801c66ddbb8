using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Quantized;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Benchmarks;

/// <summary>Products with quantised weights, and whole steps of a quantised checkpoint, beside the memory's read bandwidth.</summary>
internal static class QuantizedTable
{
    private const long PoolBytes = 1L << 29;
    private const int PrefillTokens = 512;
    private static readonly int[] Counts = [1, 4, 8, 16, 32, 512];
    private static readonly int[] Streams = [1, 4, 8, 16, 32];
    private static readonly (int Columns, int Rows)[] Shapes = [(2048, 3072), (2048, 16384), (8192, 2048)];

    /// <summary>Prints gigabytes of weights per second and whole-number operations per second of each kernel, best of so many rounds.</summary>
    public static void PrintProducts(TextWriter output, int rounds, int threads)
    {
        using var weights = DramBandwidth.Filled(PoolBytes);
        output.WriteLine(Ceilings.Measure(threads));
        List<QuantizedPath> paths = [.. Enum.GetValues<QuantizedPath>().Where(path =>
            path == QuantizedPath.Native ? NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512Vnni) : QuantizedProduct.Runs(path))];
        output.WriteLine($"K x N, M: GB/s of weights (GOP/s): {string.Join(", ", paths)}");
        foreach (QuantizedFormat format in Enum.GetValues<QuantizedFormat>())
        {
            foreach ((int columns, int rows) in Shapes)
            {
                foreach (int count in Counts)
                {
                    IEnumerable<string> figures = paths.Select(path => Figure(weights, new QuantizedShape(format, rows, columns), count, threads, rounds, path));
                    output.WriteLine($"{format,4} {columns,5} x {rows,5}, M {count,3}: {string.Join(' ', figures)}");
                }
            }
        }
    }

    /// <summary>Prints this machine's ceilings, then prefill and decode speeds of a checkpoint in one format.</summary>
    /// <param name="output">Where the line goes.</param>
    /// <param name="directory">The checkpoint; its tokenizer is not needed.</param>
    /// <param name="format">none, int8 or int4.</param>
    /// <param name="head">auto, int8, int4 or none.</param>
    /// <param name="kernels">auto or managed.</param>
    /// <param name="cache">A cache folder, or none.</param>
    public static async Task PrintRatesAsync(TextWriter output, string directory, string format, string head, string kernels, string cache)
    {
        ModelLoadOptions options = new()
        {
            MaxSequences = Streams[^1],
            MaxModelLength = PrefillTokens + 16,
            CpuKernels = Enum.Parse<CpuKernels>(kernels, ignoreCase: true),
            Quantization = format == "none" ? null : new WeightQuantization
            {
                Format = Enum.Parse<QuantizedFormat>(format, ignoreCase: true),
                Head = Enum.Parse<HeadQuantization>(head, ignoreCase: true),
                CacheDirectory = cache,
            },
        };
        await output.WriteLineAsync(Ceilings.Measure(Environment.ProcessorCount).ToString());
        Stopwatch watch = Stopwatch.StartNew();
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        double loading = watch.Elapsed.TotalSeconds;
        await output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{format}, head {head}: {model.Plan.HeldWeightBytes / 1e9:0.000} GB of weights, loaded in {loading:0.00} s, peak resident memory {DecodeTable.PeakResidentBytes() / 1e9:0.00} GB"));
        using EngineLoop engine = new(model.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System);
        engine.Start();
        int tokens = (int)Math.Clamp(8e9 / model.Plan.HeldWeightBytes * 6, 16, 400);
        await StreamRates.DecodeAsync(engine, 1, 8);
        double prefill = await StreamRates.PrefillAsync(engine, PrefillTokens, 3);
        List<string> rates = [];
        foreach (int streams in Streams)
        {
            // The best of two: the machine's memory is not the same from one second to the next.
            double rate = Math.Max(
                await StreamRates.DecodeAsync(engine, streams, tokens / 2), await StreamRates.DecodeAsync(engine, streams, tokens / 2));
            rates.Add(string.Create(CultureInfo.InvariantCulture, $"b{streams} {rate:0.0}"));
        }

        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"  prefill {prefill:0}, {string.Join(", ", rates)} tokens/s"));
    }

    private static unsafe string Figure(NativeBuffer weights, QuantizedShape shape, int count, int threads, int rounds, QuantizedPath path)
    {
        using ActivationArena arena = new(ActivationArena.BytesFor(count, shape.Columns) + ActivationArena.BytesFor(count, shape.Rows));
        Activation x = arena.Carve(count, shape.Columns);
        Activation y = arena.Carve(count, shape.Rows);
        new Span<float>(x.Data, count * shape.Columns).Fill(0.5f);
        using ForkJoinPool pool = new(threads);
        using QuantizedProduct product = new(pool, count, shape.Columns, path);
        double best = double.MaxValue;
        for (int round = 0; round < rounds; round++)
        {
            // Each round reads other weights, so that no cache holds them; any bytes are weights.
            WeightMatrix weight = new(weights.Pointer + (shape.Bytes * (round * 7 % (PoolBytes / shape.Bytes))), shape);
            long start = Stopwatch.GetTimestamp();
            product.Multiply(x, weight, y, count);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        string figures = string.Create(CultureInfo.InvariantCulture, $"{shape.Bytes / best / 1e9:F1} ({2.0 * count * shape.Rows * shape.Columns / best / 1e9:F0})");
        return figures.PadLeft(14);
    }
}
