using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>Speeds of a loaded model through the real engine, with random prompts.</summary>
internal static class StreamRates
{
    /// <summary>Prompt tokens of the streams whose decoding is measured.</summary>
    public const int PromptTokens = 32;

    /// <summary>Decode tokens per second over all streams: between the last stream's first token and the first stream's last.</summary>
    public static async Task<double> DecodeAsync(EngineLoop engine, int streams, int newTokens)
    {
        Task<List<TimeSpan>>[] runs = new Task<List<TimeSpan>>[streams];
        Stopwatch watch = Stopwatch.StartNew();
        for (int i = 0; i < streams; i++)
        {
            runs[i] = StreamAsync(engine, i, PromptTokens, newTokens, watch);
        }

        List<TimeSpan>[] times = await Task.WhenAll(runs);
        TimeSpan from = times.Max(tokens => tokens[0]);
        TimeSpan to = times.Min(tokens => tokens[^1]);
        return times.Sum(tokens => tokens.Count(time => time > from && time <= to)) / (to - from).TotalSeconds;
    }

    /// <summary>Prompt tokens per second of one prompt that is fed alone, best of so many.</summary>
    public static async Task<double> PrefillAsync(EngineLoop engine, int promptTokens, int rounds)
    {
        double best = 0;
        for (int round = 0; round < rounds; round++)
        {
            List<TimeSpan> times = await StreamAsync(engine, round, promptTokens, 1, Stopwatch.StartNew());
            best = Math.Max(best, promptTokens / times[0].TotalSeconds);
        }

        return best;
    }

    /// <summary>A closed loop: so many callers, each with one request after the other. Output tokens per second, and the times between tokens.</summary>
    public static async Task<(double Rate, double MedianGap, double P99Gap)> ClosedLoopAsync(
        EngineLoop engine, int callers, int requests, int promptTokens, int newTokens)
    {
        int next = -1;
        Stopwatch watch = Stopwatch.StartNew();
        List<double>[] gaps = await Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
        {
            List<double> own = [];
            for (int i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
            {
                List<TimeSpan> times = await StreamAsync(engine, i, promptTokens, newTokens, watch);
                own.AddRange(times.Zip(times.Skip(1), (earlier, later) => (later - earlier).TotalMilliseconds));
            }

            return own;
        }));
        double seconds = watch.Elapsed.TotalSeconds;
        double[] all = [.. gaps.SelectMany(own => own).Order()];
        return (requests * newTokens / seconds, all[all.Length / 2], all[all.Length * 99 / 100]);
    }

    /// <summary>Streams that generate while prompts arrive for one token each: times between the streams' tokens, ascending, and times to the prompts' tokens.</summary>
    public static async Task<(double[] Gaps, double[] FirstTokens)> BesideAsync(
        EngineLoop engine, int streams, int newTokens, int besidePromptTokens, TimeSpan between)
    {
        Stopwatch watch = Stopwatch.StartNew();
        Task<List<TimeSpan>>[] runs = [.. Enumerable.Range(0, streams).Select(i => StreamAsync(engine, i, 128, newTokens, watch))];
        Task<List<TimeSpan>[]> all = Task.WhenAll(runs);
        List<double> first = [];
        for (int i = streams; !all.IsCompleted; i++)
        {
            await Task.WhenAny(all, Task.Delay(between, TimeProvider.System));
            TimeSpan sent = watch.Elapsed;
            List<TimeSpan> times = await StreamAsync(engine, i, besidePromptTokens, 1, watch);
            first.Add((times[0] - sent).TotalMilliseconds);
        }

        List<TimeSpan>[] told = await all;
        double[] gaps = [.. told.SelectMany(times => times.Zip(times.Skip(1), (earlier, later) => (later - earlier).TotalMilliseconds)).Order()];
        return (gaps, [.. first.Order()]);
    }

    private static async Task<List<TimeSpan>> StreamAsync(
        EngineLoop engine, int number, int promptTokens, int newTokens, Stopwatch watch)
    {
        Random random = new(number);
        GenerationRequest request = new()
        {
            RequestId = string.Create(CultureInfo.InvariantCulture, $"stream-{number}"),
            PromptTokenIds = Enumerable.Range(0, promptTokens).Select(_ => random.Next(engine.Geometry.VocabularySize)).ToArray(),
            MaxTokens = newTokens,
        };
        if (!engine.Admit(request).IsAccepted(out TokenStream? stream, out Rejection? rejection))
        {
            throw new InvalidOperationException(rejection.Message);
        }

        using (stream)
        {
            TokenDelta delta = new();
            List<TimeSpan> times = new(newTokens);
            while (await stream.ReadAsync(delta, CancellationToken.None))
            {
                times.AddRange(Enumerable.Repeat(watch.Elapsed, delta.TokenIds.Count));
                if (delta.FinishReason is not (FinishReason.None or FinishReason.Length))
                {
                    throw new InvalidOperationException($"a stream ended with {delta.FinishReason}: {delta.Error}");
                }
            }

            return times;
        }
    }
}
