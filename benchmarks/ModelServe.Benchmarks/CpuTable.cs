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
    private static readonly string[] DefaultShapes = ["llama-125m", "llama-3.2-1b"];

    /// <summary>How weights may be stored; the last one stores the head in 4 bits too.</summary>
    public static IReadOnlyList<string> Formats { get; } = ["bfloat16", "bfloat16-wide", "int8", "int4", "int4-head"];

    /// <summary>Whether a format is bfloat16, packed in 12 bits or kept in 16.</summary>
    public static bool IsBFloat16(string format) => format is "bfloat16" or "bfloat16-wide";

    /// <summary>How a format keeps bfloat16 weights.</summary>
    public static WeightPacking Packing(string format) => format == "bfloat16-wide" ? WeightPacking.Off : WeightPacking.Auto;

    /// <summary>Prints the ceilings, and a line for each shape and format; for bfloat16 another one with a processor kept busy.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="words">Names of <see cref="RandomCheckpoint.Shapes"/> and <see cref="Formats"/>; without any of one kind, the standard ones.</param>
    public static async Task PrintAsync(TextWriter writer, IReadOnlyList<string> words)
    {
        string[] formats = [.. Formats.Where(format => words.Contains(format) || !words.Any(Formats.Contains))];
        string[] shapes = [.. words.Where(RandomCheckpoint.Shapes.ContainsKey)];
        Ceilings ceilings = Ceilings.Measure(Environment.ProcessorCount);
        await writer.WriteLineAsync(ceilings.ToString());
        await writer.WriteLineAsync("| shape | weights | prefill 512 | b1 | share of DRAM read | b4 | b8 | b16 | b32 | processors taken by others |");
        await writer.WriteLineAsync("|---|---|---|---|---|---|---|---|---|---|");
        foreach (string name in shapes.Length > 0 ? shapes : DefaultShapes)
        {
            string directory = Directory.CreateTempSubdirectory("modelserve-bench-").FullName;
            try
            {
                RandomCheckpoint.Write(directory, RandomCheckpoint.Shapes[name], seed: 1);
                foreach (string format in formats)
                {
                    await RowsAsync(writer, name, directory, format, ceilings);
                }
            }
            finally
            {
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    private static async Task RowsAsync(TextWriter writer, string name, string directory, string format, Ceilings ceilings)
    {
        ModelLoadOptions options = new()
        {
            MaxSequences = Streams[^1],
            MaxModelLength = PrefillTokens + 16,
            WeightPacking = Packing(format),
            Quantization = IsBFloat16(format) ? null : new WeightQuantization
            {
                Format = Enum.Parse<QuantizedFormat>(format.Split('-')[0], ignoreCase: true),
                Head = format.EndsWith("-head", StringComparison.Ordinal) ? HeadQuantization.Int4 : HeadQuantization.Auto,
                CacheDirectory = WeightQuantization.NoCache,
            },
        };
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        using EngineLoop engine = new(model.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System);
        engine.Start();

        // The first prompt meets code that is still being compiled, and memory that has no pages yet.
        await StreamRates.PrefillAsync(engine, PrefillTokens, 1);
        await StreamRates.DecodeAsync(engine, 1, 8);
        await RowAsync(writer, $"{name} | {format}, {model.Plan.HeldWeightBytes / 1e9:0.00} GB", engine, model, ceilings);
        if (format == Formats[0])
        {
            using Process other = Process.Start("sh", ["-c", "while :; do :; done"]);
            await RowAsync(writer, $"{name} | {format}, one processor busy with another process", engine, model, ceilings);
            other.Kill();
            await other.WaitForExitAsync();
        }
    }

    private static async Task RowAsync(TextWriter writer, string title, EngineLoop engine, LoadedModel model, Ceilings ceilings)
    {
        // As many tokens as take a while at one stream, so that a small model is measured as long as a large one.
        int tokens = (int)Math.Clamp(8e9 / model.Plan.WeightBytes * 6, 16, 400);
        OtherLoad others = OtherLoad.Begin();
        double prefill = await StreamRates.PrefillAsync(engine, PrefillTokens, 3);
        List<double> rates = [];
        foreach (int streams in Streams)
        {
            rates.Add(await StreamRates.DecodeAsync(engine, streams, tokens));
        }

        double read = rates[0] * model.Plan.HeldWeightBytes / 1e9;
        await writer.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"| {title} | {prefill:0} | {rates[0]:0.0} | {read / ceilings.ReadPass:P0} | {string.Join(" | ", rates.Skip(1).Select(rate => rate.ToString("0.0", CultureInfo.InvariantCulture)))} | {others.Share():P0} |"));
    }
}
