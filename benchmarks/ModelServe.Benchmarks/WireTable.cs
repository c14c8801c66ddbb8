extern alias client;
using System.Diagnostics;
using System.Globalization;
using client::ModelServe.V1;
using Grpc.Core;

namespace ModelServe.Benchmarks;

/// <summary>What the gRPC side costs and holds, with its client on the same machine and a device that does nothing.</summary>
internal sealed class WireTable(TextWriter writer, WireClient wire, TimeSpan length)
{
    private const int Streams = 256;
    private const int Rounds = 30;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);

    /// <summary>Prints the rows that were asked for, or all of them.</summary>
    public static async Task PrintAsync(TextWriter writer, string textFolder, IReadOnlyList<string> rows, TimeSpan length)
    {
        (string Name, Func<WireTable, Task> Run)[] all =
        [
            ("paced", table => table.PacedAsync()),
            ("flat", table => table.FlatOutAsync()),
            ("requests", table => table.RequestsAsync()),
            ("cancels", table => table.CancelsAsync()),
            ("stalled", table => table.StalledAsync()),
            ("full", table => table.FullQueueAsync()),
        ];
        await writer.WriteLineAsync("| what | figure | aim |\n|---|---|---|");
        foreach ((string name, Func<WireTable, Task> run) in all.Where(row => rows.Count == 0 || rows.Contains(row.Name)))
        {
            // A fresh process for each row, so that none inherits the other's heap.
            using WireClient wire = await WireClient.StartAsync(textFolder, 1024);
            await run(new WireTable(writer, wire, length));
        }
    }

    private async Task PacedAsync()
    {
        await wire.PaceAsync(20);
        using var stop = new CancellationTokenSource();
        List<int>[] travels = [.. Enumerable.Range(0, Streams).Select(_ => new List<int>(16_384))];
        Task<long>[] readers = [.. travels.Select((list, i) => wire.ReadAsync(i, 1800, list, stop.Token))];
        await DelayAsync(4 * WarmUp);
        int[] skip = [.. travels.Select(list => list.Count)];
        WireUsage before = await wire.UsageAsync();
        Stopwatch watch = Stopwatch.StartNew();
        await DelayAsync(length);
        WireUsage after = await wire.UsageAsync();
        double seconds = watch.Elapsed.TotalSeconds;
        int[] take = [.. travels.Select((list, i) => list.Count - skip[i])];
        List<double> scrapes = [];
        int page = 0;
        _ = await wire.ScrapesAsync();
        for (int i = 0; i < 200; i++)
        {
            long start = Stopwatch.GetTimestamp();
            page = await wire.MetricsAsync();
            scrapes.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            await DelayAsync(TimeSpan.FromMilliseconds(50));
        }

        double[] own = [.. (await wire.ScrapesAsync()).Order()];
        await stop.CancelAsync();
        await Task.WhenAll(readers);
        long tokens = after.Tokens - before.Tokens;
        double[] milliseconds = [.. travels.SelectMany((list, i) => list.Skip(skip[i]).Take(take[i])).Select(units => units * 1000.0 / ClockExecutor.UnitsPerSecond).Order()];
        Row($"{Streams} streams x {tokens / seconds / Streams:0.0} tokens/s: server processor time a token", $"{(after.CpuSeconds - before.CpuSeconds) * 1e6 / tokens:0.0} µs", "6 µs");
        Row($"the same: allocated a token", $"{(after.AllocatedBytes - before.AllocatedBytes) / (double)tokens:0} B", "100 B");
        Row($"the same: one way, engine to client, p50 / p99", $"{At(milliseconds, 0.5):0.00} / {At(milliseconds, 0.99):0.00} ms", "p99 5 ms");
        double[] sorted = [.. scrapes.Order()];
        Row($"beside the same: a scrape of /metrics every 50 ms ({page / 1024} KiB), as the client sees it, p50 / p99", $"{At(sorted, 0.5):0.00} / {At(sorted, 0.99):0.00} ms", "5 ms");
        Row($"the same scrapes on the server's side, p50 / p99", $"{At(own, 0.5):0.00} / {At(own, 0.99):0.00} ms", "5 ms");
    }

    private async Task FlatOutAsync()
    {
        using var stop = new CancellationTokenSource();
        Task<long>[] readers = [.. Enumerable.Range(0, Streams).Select(i => wire.ReadAsync(i, 1800, null, stop.Token))];
        await DelayAsync(WarmUp);
        WireUsage before = await wire.UsageAsync();
        Stopwatch watch = Stopwatch.StartNew();
        await DelayAsync(length);
        WireUsage after = await wire.UsageAsync();
        double seconds = watch.Elapsed.TotalSeconds;
        await stop.CancelAsync();
        await Task.WhenAll(readers);
        long tokens = after.Tokens - before.Tokens;
        double merged = await wire.TokensPerMessageAsync();
        double cores = (after.CpuSeconds - before.CpuSeconds) / seconds;
        Row($"{Streams} streams flat out: tokens/s, {merged:0} merged into a message, on {cores:0.00} cores of the server's", $"{tokens / seconds:N0}", "");
        Row($"the same: tokens/s a core", $"{tokens / (after.CpuSeconds - before.CpuSeconds):N0}", "31,250");
    }

    private async Task RequestsAsync()
    {
        using var stop = new CancellationTokenSource();
        long answered = 0;
        Task[] callers = [.. Enumerable.Range(0, 64).Select(i => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await wire.Client(i).GenerateUnaryAsync(WireClient.Request(8));
                Interlocked.Increment(ref answered);
            }
        }))];
        await DelayAsync(WarmUp);
        WireUsage before = await wire.UsageAsync();
        long from = Volatile.Read(ref answered);
        Stopwatch watch = Stopwatch.StartNew();
        await DelayAsync(length);
        WireUsage after = await wire.UsageAsync();
        double seconds = watch.Elapsed.TotalSeconds;
        long count = Volatile.Read(ref answered) - from;
        await stop.CancelAsync();
        await Task.WhenAll(callers);
        Row($"requests of 16 + 8 tokens, 64 callers: requests/s", $"{count / seconds:N0}", "");
        Row($"the same: requests/s a core of the server's", $"{count / (after.CpuSeconds - before.CpuSeconds):N0}", "250");
    }

    private async Task CancelsAsync()
    {
        await wire.PaceAsync(5);
        List<double> rounds = [], sent = [];
        List<long> heaps = [];
        for (int round = 0; round < Rounds; round++)
        {
            AsyncServerStreamingCall<GenerationEvent>[] calls = [.. Enumerable.Range(0, 1000).Select(i => wire.Client(i).Generate(WireClient.Request(1800)))];
            await Task.WhenAll(calls.Select(async call =>
            {
                for (int i = 0; i < 3; i++)
                {
                    await call.ResponseStream.MoveNext(CancellationToken.None);
                }
            }));
            Stopwatch watch = Stopwatch.StartNew();
            Array.ForEach(calls, call => call.Dispose());
            sent.Add(watch.Elapsed.TotalMilliseconds);
            while (await wire.LiveAsync() > 0)
            {
            }

            rounds.Add(watch.Elapsed.TotalMilliseconds);
            // No request is live, but the connections are still busy with what the cancelled streams left in them.
            await DelayAsync(TimeSpan.FromMilliseconds(500));
            heaps.Add(await wire.HeapAsync());
        }

        // The first round fills pools and compiles.
        Row($"1,000 streams cancelled at once: until none is live, rounds 2 to {Rounds}, p50 and worst", $"{At([.. rounds.Skip(1).Order()], 0.5):0} and {rounds.Skip(1).Max():0} ms", "50 ms");
        Row($"the same: of that the client's thread, until it had cancelled the last, p50 and worst", $"{At([.. sent.Skip(1).Order()], 0.5):0} and {sent.Skip(1).Max():0} ms", "");
        double[] mebibytes = [.. heaps.Select(heap => heap / 1048576.0)];
        Row($"the same: managed heap after rounds 2 to 10, 11 to 20, 21 to {Rounds}: mean", $"{mebibytes[1..10].Average():0.00}, {mebibytes[10..20].Average():0.00}, {mebibytes[20..].Average():0.00} MiB", "flat");
        Row($"the same: of all rounds, least and most", $"{mebibytes[1..].Min():0.00} and {mebibytes[1..].Max():0.00} MiB", "");
    }

    private async Task StalledAsync()
    {
        // Flat out a stalled stream would be over in a moment: its tokens wait in the server, and the engine never waits for its reader.
        await wire.PaceAsync(5);
        (double paced, double travel) = await StepTimesAsync(0);
        (double half, double halfTravel) = await StepTimesAsync(Streams / 2);
        (double again, double travelAgain) = await StepTimesAsync(0);
        Row($"{Streams} streams, steps of 5 ms: time of a step, all read (before, after)", $"{paced:0} and {again:0} µs", "");
        Row($"half of them stalled: time of a step", $"{half:0} µs ({(half / ((paced + again) / 2)) - 1:+0.0 %;-0.0 %})", "within 5 %");
        Row($"the others' tokens, one way, p99: all read (before, after), half stalled", $"{travel:0.00} and {travelAgain:0.00}, {halfTravel:0.00} ms", "");
    }

    /// <summary>Mean microseconds of a step while some of the streams are not read, and the 99th percentile of how long the others' tokens travelled, in milliseconds.</summary>
    private async Task<(double Step, double Travel)> StepTimesAsync(int stalled)
    {
        using var stop = new CancellationTokenSource();
        AsyncServerStreamingCall<GenerationEvent>[] silent = [.. Enumerable.Range(0, stalled).Select(i => wire.Client(i).Generate(WireClient.Request(2000)))];
        List<int>[] travels = [.. Enumerable.Range(0, Streams - stalled).Select(_ => new List<int>(4096))];
        Task<long>[] readers = [.. travels.Select((list, i) => wire.ReadAsync(i, 1800, list, stop.Token))];
        await DelayAsync(WarmUp / 2);
        int[] skip = [.. travels.Select(list => list.Count)];
        WireUsage before = await wire.UsageAsync();
        Stopwatch watch = Stopwatch.StartNew();
        await DelayAsync(length / 2);
        WireUsage after = await wire.UsageAsync();
        double micros = watch.Elapsed.TotalMicroseconds / (after.Steps - before.Steps);
        await stop.CancelAsync();
        await Task.WhenAll(readers);
        Array.ForEach(silent, call => call.Dispose());
        while (await wire.LiveAsync() > 0)
        {
        }

        double[] milliseconds = [.. travels.SelectMany((list, i) => list.Skip(skip[i])).Select(units => units * 1000.0 / ClockExecutor.UnitsPerSecond).Order()];
        return (micros, At(milliseconds, 0.99));
    }

    private async Task FullQueueAsync()
    {
        using AsyncServerStreamingCall<GenerationEvent> running = wire.Client(0).Generate(WireClient.Request(4, "full"));
        await running.ResponseStream.MoveNext(CancellationToken.None);
        using AsyncServerStreamingCall<GenerationEvent> waiting = wire.Client(0).Generate(WireClient.Request(4, "full"));
        await waiting.ResponseStream.MoveNext(CancellationToken.None);
        List<double> answers = [];
        Stopwatch watch = Stopwatch.StartNew();
        while (watch.Elapsed < length / 2)
        {
            long start = Stopwatch.GetTimestamp();
            try
            {
                await wire.Client(1).GenerateUnaryAsync(WireClient.Request(4, "full"));
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.ResourceExhausted)
            {
                answers.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        double[] sorted = [.. answers.Skip(answers.Count / 4).Order()];
        Row($"refusal at a full queue, as the client sees it, {sorted.Length:N0} calls, p50 / p99", $"{At(sorted, 0.5):0.00} / {At(sorted, 0.99):0.00} ms", "1 ms");
        double[] own = await wire.RefusalsAsync();
        own = [.. own.Skip(own.Length / 4).Order()];
        Row($"the same on the server's side, p50 / p99", $"{At(own, 0.5):0.000} / {At(own, 0.99):0.000} ms", "1 ms");
    }

    private static Task DelayAsync(TimeSpan time) => Task.Delay(time, TimeProvider.System);

    private static double At(double[] sorted, double share) => sorted.Length == 0 ? double.NaN : sorted[(int)((sorted.Length - 1) * share)];

    private void Row(FormattableString what, FormattableString figure, string aim) => writer.WriteLine(
        $"| {what.ToString(CultureInfo.InvariantCulture)} | {figure.ToString(CultureInfo.InvariantCulture)} | {aim} |");
}
