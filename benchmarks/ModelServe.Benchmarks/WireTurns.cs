using System.Diagnostics;
using System.Globalization;

namespace ModelServe.Benchmarks;

/// <summary>Compares builds or settings of the serving process that take turns on the same machine: 256 streams each, one process under load at a time.</summary>
/// <remarks>
/// A machine that others use drifts by more than what is compared. Here every figure of one process stands between two of the others',
/// a few seconds apart, and all are as warm.
/// </remarks>
internal static class WireTurns
{
    private const int Streams = 256;
    private const int Pace = 20;
    private const int RestingPace = 1000;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(9);
    private static readonly TimeSpan SettleDown = TimeSpan.FromSeconds(1.2);
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(4);

    /// <summary>Prints a row a turn and a mean a process.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="textFolder">The vocabulary.</param>
    /// <param name="turns">Turns of each process.</param>
    /// <param name="processes">Each a name, an equals sign, the benchmark's assembly, and settings of its environment behind commas.</param>
    public static async Task PrintAsync(TextWriter writer, string textFolder, int turns, IReadOnlyList<string> processes)
    {
        using var stop = new CancellationTokenSource();
        Contender[] contenders = await Task.WhenAll(processes.Select(process => Contender.StartAsync(textFolder, process, stop.Token)));
        await Task.Delay(WarmUp, TimeProvider.System);
        foreach (Contender contender in contenders)
        {
            await contender.Wire.PaceAsync(RestingPace);
        }

        await writer.WriteLineAsync("| process | processor time a token | one way p50 / p99 | scrape p50 / p99, worst |\n|---|---|---|---|");
        for (int turn = 0; turn < turns; turn++)
        {
            // There and back, so that a drift in one direction meets both alike.
            foreach (Contender contender in turn % 2 == 0 ? contenders : contenders.Reverse())
            {
                await contender.Wire.PaceAsync(Pace);
                await Task.Delay(SettleDown, TimeProvider.System);
                await contender.RunAsync(Turn);
                await contender.Wire.PaceAsync(RestingPace);
            }
        }

        foreach (Contender contender in contenders)
        {
            await writer.WriteLineAsync(contender.Summary());
        }

        await stop.CancelAsync();
        foreach (Contender contender in contenders)
        {
            await contender.DisposeAsync();
        }
    }

    private sealed class Contender(string name, WireClient wire, List<int>[] travels, Task<long>[] readers) : IAsyncDisposable
    {
        private readonly List<double> _costs = [];
        private readonly List<double> _travelled = [];
        private readonly List<double> _scrapes = [];

        public WireClient Wire => wire;

        public static async Task<Contender> StartAsync(string textFolder, string process, CancellationToken stop)
        {
            string[] parts = process.Split('=', 2)[1].Split(',');
            WireClient wire = await WireClient.StartAsync(textFolder, 1024, parts[0], [.. parts.Skip(1)]);
            await wire.PaceAsync(Pace);
            List<int>[] travels = [.. Enumerable.Range(0, Streams).Select(_ => new List<int>(16_384))];
            return new Contender(process.Split('=', 2)[0], wire, travels, [.. travels.Select((list, i) => wire.ReadAsync(i, 1800, list, stop))]);
        }

        public async Task RunAsync(TimeSpan length)
        {
            int[] skip = [.. travels.Select(list => list.Count)];
            WireUsage before = await wire.UsageAsync();
            await Task.Delay(length, TimeProvider.System);
            WireUsage after = await wire.UsageAsync();
            int[] take = [.. travels.Select((list, i) => list.Count - skip[i])];
            for (int i = 0; i < 40; i++)
            {
                long start = Stopwatch.GetTimestamp();
                await wire.MetricsAsync();
                _scrapes.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                await Task.Delay(TimeSpan.FromMilliseconds(25), TimeProvider.System);
            }

            _costs.Add((after.CpuSeconds - before.CpuSeconds) * 1e6 / (after.Tokens - before.Tokens));
            _travelled.AddRange(travels.SelectMany((list, i) => list.GetRange(skip[i], take[i])).Select(units => units * 1000.0 / ClockExecutor.UnitsPerSecond));
        }

        public string Summary()
        {
            _travelled.Sort();
            _scrapes.Sort();
            return string.Create(
                CultureInfo.InvariantCulture,
                $"| {name} | {_costs.Average():0.00} µs ({string.Join(' ', _costs.Select(cost => cost.ToString("0.0", CultureInfo.InvariantCulture)))}) | {At(_travelled, 0.5):0.00} / {At(_travelled, 0.99):0.00} ms | {At(_scrapes, 0.5):0.00} / {At(_scrapes, 0.99):0.00}, {_scrapes[^1]:0.00} ms |");
        }

        public async ValueTask DisposeAsync()
        {
            await Task.WhenAll(readers);
            wire.Dispose();
        }

        private static double At(List<double> sorted, double share) => sorted[(int)((sorted.Count - 1) * share)];
    }
}
