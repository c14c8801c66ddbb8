using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;

namespace ModelServe.Benchmarks;

/// <summary>Whole decode steps of a checkpoint through the real engine, for several numbers of concurrent streams, beside the memory's bandwidth.</summary>
internal static class DecodeTable
{
    /// <summary>Prints tokens per second for each number of streams, and what share of the DRAM read bandwidth one stream draws.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="newTokens">Tokens that each stream generates.</param>
    /// <param name="streams">Numbers of concurrent streams, measured in that order.</param>
    public static async Task PrintAsync(TextWriter writer, string directory, int newTokens, IReadOnlyList<int> streams)
    {
        Stopwatch watch = Stopwatch.StartNew();
        ModelLoadOptions options = new() { MaxSequences = streams.Max(), MaxModelLength = StreamRates.PromptTokens + newTokens + 16 };
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        long peak = PeakResidentBytes();
        await writer.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{model.Config.Architecture}, {model.Config.Parameters:N0} parameters, {model.Plan.HeldWeightBytes / 1e9:0.00} GB of weights, loaded in {watch.Elapsed.TotalSeconds:0.0} s, peak resident memory {peak / 1e9:0.00} GB"));
        using EngineLoop engine = new(model.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System);
        engine.Start();
        await StreamRates.DecodeAsync(engine, streams[0], 8);
        double alone = 0;
        foreach (int count in streams)
        {
            double rate = await StreamRates.DecodeAsync(engine, count, newTokens);
            alone = alone == 0 ? rate / count : alone;
            await writer.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{count,3} streams: {rate,9:0.0} tokens/s, {rate / alone,5:0.00} x one stream, weights read at {rate / count * model.Plan.HeldWeightBytes / 1e9:0.0} GB/s"));
        }
    }

    /// <summary>The most memory that this process has held.</summary>
    public static long PeakResidentBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(text => text.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6).Trim(" \tkB"), CultureInfo.InvariantCulture) * 1024;
    }
}
