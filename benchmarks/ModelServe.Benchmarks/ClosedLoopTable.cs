using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;

namespace ModelServe.Benchmarks;

/// <summary>Callers that each send one request after another to the engine in this process: what a server could reach without its network.</summary>
internal static class ClosedLoopTable
{
    private const int RequestsOfACaller = 4;

    /// <summary>Prints output tokens per second and the times between tokens, by rule for portions of prompts and number of callers: medians of rounds in each of which every pair runs once.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="promptTokens">Tokens of each prompt.</param>
    /// <param name="newTokens">Tokens of each answer.</param>
    /// <param name="rounds">How often each is measured.</param>
    /// <param name="numbers">Numbers of callers.</param>
    /// <param name="rules">Each a number of prompt tokens that a step feeds beside answers, 0 for no such limit, or x and how many times as long it may take.</param>
    public static async Task PrintAsync(TextWriter writer, string directory, int promptTokens, int newTokens, int rounds, IReadOnlyList<int> numbers, IReadOnlyList<string> rules)
    {
        using LoadedModel model = ModelLoader.Load(directory, new() { MaxSequences = 16, MaxModelLength = promptTokens + newTokens + 16 }, progress: null);
        Dictionary<(string, int), List<(double Rate, double Median, double P99)>> runs = [];
        for (int round = 0; round < rounds; round++)
        {
            foreach (string rule in rules)
            {
                using EngineLoop engine = new(model.Executor, OptionsOf(rule), TimeProvider.System);
                engine.Start(warmUp: TimeSpan.FromSeconds(round == 0 ? 2 : 0.5));
                await engine.WarmedUp;
                foreach (int callers in numbers)
                {
                    runs.TryAdd((rule, callers), []);
                    runs[(rule, callers)].Add(await StreamRates.ClosedLoopAsync(engine, callers, RequestsOfACaller * callers, promptTokens, newTokens));
                }
            }
        }

        foreach (((string rule, int callers), List<(double Rate, double Median, double P99)> own) in runs)
        {
            await writer.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{rule}, {callers} callers: {Middle(own, run => run.Rate):0} tokens/s ({own.Min(run => run.Rate):0} to {own.Max(run => run.Rate):0}), between tokens p50 {Middle(own, run => run.Median):0.0}, p99 {Middle(own, run => run.P99):0.0} ms"));
        }
    }

    /// <summary>Prints the times between the tokens of eight streams while prompts arrive one after the other, by rule, rounds in turn.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="promptTokens">Tokens of the prompts that arrive.</param>
    /// <param name="rounds">How often each is measured.</param>
    /// <param name="rules">As above.</param>
    public static async Task PrintBesideAsync(TextWriter writer, string directory, int promptTokens, int rounds, IReadOnlyList<string> rules)
    {
        using LoadedModel model = ModelLoader.Load(directory, new() { MaxSequences = 16, MaxModelLength = promptTokens + 512 }, progress: null);
        for (int round = 0; round < rounds; round++)
        {
            foreach (string rule in rules)
            {
                using EngineLoop engine = new(model.Executor, OptionsOf(rule), TimeProvider.System);
                engine.Start(warmUp: TimeSpan.FromSeconds(2));
                await engine.WarmedUp;
                (double[] gaps, double[] first) = await StreamRates.BesideAsync(engine, 8, 400, promptTokens, TimeSpan.FromSeconds(0.8));
                await writer.WriteLineAsync(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{rule}: between tokens p50 {At(gaps, 0.5):0.0}, p90 {At(gaps, 0.9):0.0}, p99 {At(gaps, 0.99):0.0}, largest {gaps[^1]:0.0} ms; first token of a prompt p50 {At(first, 0.5):0} ms"));
            }
        }
    }

    /// <summary>Runs the same once for each rule and writes what every step was and took.</summary>
    /// <param name="writer">Where the lines go, a rule after the other.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="promptTokens">Tokens of the prompts that arrive.</param>
    /// <param name="rules">As above.</param>
    public static async Task PrintTraceAsync(TextWriter writer, string directory, int promptTokens, IReadOnlyList<string> rules)
    {
        using LoadedModel model = ModelLoader.Load(directory, new() { MaxSequences = 16, MaxModelLength = promptTokens + 512 }, progress: null);
        foreach (string rule in rules)
        {
            using StepTrace trace = new(model.Executor, 1 << 16);
            using EngineLoop engine = new(trace, OptionsOf(rule), TimeProvider.System);
            trace.Times = engine.Planner.Portions.Times;
            engine.Start(warmUp: TimeSpan.FromSeconds(2));
            await engine.WarmedUp;
            trace.Begin();
            (double[] gaps, double[] first) = await StreamRates.BesideAsync(engine, 8, 400, promptTokens, TimeSpan.FromSeconds(0.8));
            await writer.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"# {rule}: between tokens p50 {At(gaps, 0.5):0.0}, p90 {At(gaps, 0.9):0.0}, p99 {At(gaps, 0.99):0.0}, largest {gaps[^1]:0.0} ms; first token of a prompt p50 {At(first, 0.5):0} ms"));
            trace.Write(writer);
        }
    }

    private static double At(double[] sorted, double quantile) => sorted[(int)(quantile * (sorted.Length - 1))];

    private static EngineOptions OptionsOf(string rule) => rule.StartsWith('x')
        ? new() { EnablePrefixCaching = false, MixedPrefillTokens = 32, PrefillStretch = double.Parse(rule.AsSpan(1), CultureInfo.InvariantCulture) }
        : new() { EnablePrefixCaching = false, MixedPrefillTokens = int.Parse(rule, CultureInfo.InvariantCulture) };

    private static double Middle<T>(List<T> values, Func<T, double> of) => values.Select(of).Order().ElementAt(values.Count / 2);
}
