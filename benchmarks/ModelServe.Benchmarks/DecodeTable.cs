using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;

namespace ModelServe.Benchmarks;

/// <summary>Whole decode steps of a checkpoint through the real engine, for several numbers of concurrent streams, beside the memory's bandwidth.</summary>
internal static class DecodeTable
{
    private const int PromptTokens = 32;

    /// <summary>Prints tokens per second for each number of streams, and what share of the DRAM read bandwidth one stream draws.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="newTokens">Tokens that each stream generates.</param>
    /// <param name="streams">Numbers of concurrent streams, measured in that order.</param>
    public static async Task PrintAsync(TextWriter writer, string directory, int newTokens, IReadOnlyList<int> streams)
    {
        Stopwatch watch = Stopwatch.StartNew();
        ModelLoadOptions options = new() { MaxSequences = streams.Max(), MaxModelLength = PromptTokens + newTokens + 16 };
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        long peak = PeakResidentBytes();
        await writer.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{model.Config.Architecture}, {model.Config.Parameters:N0} parameters, {model.Plan.WeightBytes / 1e9:0.00} GB of weights, loaded in {watch.Elapsed.TotalSeconds:0.0} s, peak resident memory {peak / 1e9:0.00} GB"));
        using EngineLoop engine = new(model.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System);
        engine.Start();
        await MeasureAsync(engine, streams[0], 8);
        double alone = 0;
        foreach (int count in streams)
        {
            double rate = await MeasureAsync(engine, count, newTokens);
            alone = alone == 0 ? rate / count : alone;
            await writer.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{count,3} streams: {rate,9:0.0} tokens/s, {rate / alone,5:0.00} x one stream, weights read at {rate / count * model.Plan.WeightBytes / 1e9:0.0} GB/s"));
        }
    }

    /// <summary>Decode tokens per second over all streams: from the last stream's first token to the first stream's last.</summary>
    private static async Task<double> MeasureAsync(EngineLoop engine, int streams, int newTokens)
    {
        Task<(TimeSpan First, TimeSpan Last)>[] runs = new Task<(TimeSpan, TimeSpan)>[streams];
        Stopwatch watch = Stopwatch.StartNew();
        for (int i = 0; i < streams; i++)
        {
            runs[i] = StreamAsync(engine, i, newTokens, watch);
        }

        (TimeSpan First, TimeSpan Last)[] spans = await Task.WhenAll(runs);
        TimeSpan from = spans.Max(span => span.First);
        TimeSpan to = spans.Min(span => span.Last);

        // Streams advance in step, so within that window each made the same number of tokens; the first token is its start.
        double share = spans.Average(span => (to - from) / (span.Last - span.First));
        return streams * (newTokens - 1) * share / (to - from).TotalSeconds;
    }

    private static async Task<(TimeSpan First, TimeSpan Last)> StreamAsync(EngineLoop engine, int number, int newTokens, Stopwatch watch)
    {
        Random random = new(number);
        GenerationRequest request = new()
        {
            RequestId = string.Create(CultureInfo.InvariantCulture, $"stream-{number}"),
            PromptTokenIds = Enumerable.Range(0, PromptTokens).Select(_ => random.Next(engine.Geometry.VocabularySize)).ToArray(),
            MaxTokens = newTokens,
        };
        if (!engine.Admit(request).IsAccepted(out TokenStream? stream, out Rejection? rejection))
        {
            throw new InvalidOperationException(rejection.Message);
        }

        using (stream)
        {
            TokenDelta delta = new();
            TimeSpan? first = null;
            TimeSpan last = default;
            while (await stream.ReadAsync(delta, CancellationToken.None))
            {
                last = watch.Elapsed;
                first ??= last;
                if (delta.FinishReason is not (FinishReason.None or FinishReason.Length))
                {
                    throw new InvalidOperationException($"a stream ended with {delta.FinishReason}: {delta.Error}");
                }
            }

            return (first ?? last, last);
        }
    }

    private static long PeakResidentBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(text => text.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6).Trim(" \tkB"), CultureInfo.InvariantCulture) * 1024;
    }
}
