using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;

namespace ModelServe.Benchmarks;

/// <summary>Callers that each send one request after another to the engine in this process: what a server could reach without its network.</summary>
internal static class ClosedLoopTable
{
    private static readonly int[] Callers = [1, 4, 8];

    /// <summary>Prints output tokens per second and the times between tokens for several numbers of callers.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="promptTokens">Tokens of each prompt.</param>
    /// <param name="newTokens">Tokens of each answer.</param>
    /// <param name="mixedPrefillTokens">Prompt tokens that a step feeds beside answers; 0 for no such limit.</param>
    /// <param name="stretch">How many times as long a step may take with prompt tokens beside answers; 0 for a fixed number of them.</param>
    public static async Task PrintAsync(TextWriter writer, string directory, int promptTokens, int newTokens, int mixedPrefillTokens, double stretch)
    {
        using LoadedModel model = ModelLoader.Load(directory, new() { MaxSequences = 16, MaxModelLength = promptTokens + newTokens + 16 }, progress: null);
        EngineOptions options = new() { EnablePrefixCaching = false, MixedPrefillTokens = mixedPrefillTokens, PrefillStretch = stretch };
        using EngineLoop engine = new(model.Executor, options, TimeProvider.System);
        engine.Start();
        await StreamRates.ClosedLoopAsync(engine, 2, 4, promptTokens, newTokens);
        foreach (int callers in Callers)
        {
            (double rate, double median, double p99) = await StreamRates.ClosedLoopAsync(engine, callers, 8 * callers, promptTokens, newTokens);
            await writer.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"{callers} callers: {rate:0} tokens/s, between tokens p50 {median:0.0}, p99 {p99:0.0} ms"));
        }
    }
}
