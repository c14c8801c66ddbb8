using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;

namespace ModelServe.Benchmarks;

/// <summary>Prefill and decode speeds of random checkpoints of real models' shapes, beside this machine's own ceilings, in one run.</summary>
internal static class CpuTable
{
    private const int PrefillTokens = 512;
    private static readonly int[] Streams = [1, 4, 8, 16, 32];
    private static readonly WeightQuantization?[] Quantizations =
    [
        null,
        new() { Format = QuantizedFormat.Int8, CacheDirectory = WeightQuantization.NoCache },
        new() { Format = QuantizedFormat.Int4, CacheDirectory = WeightQuantization.NoCache },
        new() { Format = QuantizedFormat.Int4, Head = HeadQuantization.Int4, CacheDirectory = WeightQuantization.NoCache },
    ];

    private static readonly string[] DefaultShapes = ["llama-125m", "llama-3.2-1b"];

    /// <summary>Prints the ceilings and a line for each shape and kind of weights.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="shapes">Names of <see cref="RandomCheckpoint.Shapes"/>; none for the standard two.</param>
    public static async Task PrintAsync(TextWriter writer, IReadOnlyList<string> shapes)
    {
        Ceilings ceilings = Ceilings.Measure(Environment.ProcessorCount);
        await writer.WriteLineAsync(ceilings.ToString());
        await writer.WriteLineAsync("| shape | weights | prefill 512 | b1 | share of DRAM read | b4 | b8 | b16 | b32 |");
        await writer.WriteLineAsync("|---|---|---|---|---|---|---|---|---|");
        foreach (string name in shapes.Count > 0 ? shapes : DefaultShapes)
        {
            string directory = Directory.CreateTempSubdirectory("modelserve-bench-").FullName;
            try
            {
                RandomCheckpoint.Write(directory, RandomCheckpoint.Shapes[name], seed: 1);
                foreach (WeightQuantization? quantization in Quantizations)
                {
                    await RowAsync(writer, name, directory, ceilings, quantization);
                }
            }
            finally
            {
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    private static async Task RowAsync(TextWriter writer, string name, string directory, Ceilings ceilings, WeightQuantization? quantization)
    {
        ModelLoadOptions options = new() { MaxSequences = Streams[^1], MaxModelLength = PrefillTokens + 16, Quantization = quantization };
        Stopwatch watch = Stopwatch.StartNew();
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        double loading = watch.Elapsed.TotalSeconds;
        using EngineLoop engine = new(model.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System);
        engine.Start();

        // As many tokens as take a while at one stream, so that a small model is measured as long as a large one.
        int tokens = (int)Math.Clamp(8e9 / model.Plan.WeightBytes * 6, 16, 400);
        await StreamRates.DecodeAsync(engine, 1, 8);
        double prefill = await StreamRates.PrefillAsync(engine, PrefillTokens, 3);
        List<double> rates = [];
        foreach (int streams in Streams)
        {
            rates.Add(await StreamRates.DecodeAsync(engine, streams, tokens));
        }

        double read = rates[0] * model.Plan.WeightBytes / 1e9;
        await writer.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"| {name} | {(model.Plan.Quantization.Length > 0 ? model.Plan.Quantization : model.Plan.Type)}, {model.Plan.WeightBytes / 1e9:0.00} GB, loaded in {loading:0.0} s | {prefill:0} | {rates[0]:0.0} | {read / ceilings.ReadPass:P0} | {string.Join(" | ", rates.Skip(1).Select(rate => rate.ToString("0.0", CultureInfo.InvariantCulture)))} |"));
    }
}
