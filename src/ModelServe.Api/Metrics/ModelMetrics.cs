using System.Globalization;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>What the requests of one engine of a model did, counted as they happen. Every member may be used from any thread.</summary>
internal sealed class ModelMetrics
{
    private readonly Histogram[] _histograms;
    private readonly long[] _ended = new long[Enum.GetValues<FinishReason>().Length];
    private readonly long[] _rejected = new long[Enum.GetValues<RejectionReason>().Length];
    private long _created;
    private long _released;
    private long _tokensSent;
    private long _tokensDropped;
    private long _messagesSent;
    private long _mergedTokens;
    private long _recomputedTokens;

    /// <summary>Empty counts.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="replica">Number of the engine.</param>
    /// <param name="genAi">The same by other names, for all engines of the model.</param>
    /// <param name="meter">Whose instruments hear of observations.</param>
    public ModelMetrics(string model, int replica, GenAiMetrics genAi, ServerMeter? meter)
    {
        KeyValuePair<string, object?>[] tags = [new("model_name", model), new("engine", replica.ToString(CultureInfo.InvariantCulture))];
        _histograms =
        [
            .. Enum.GetValues<ModelHistogram>().Select(
                histogram => new Histogram(MetricFamilies.BoundsOf(histogram), meter?.Of(histogram), tags)),
        ];
        GenAi = genAi;
    }

    /// <summary>The same by OpenTelemetry's conventions for generative models.</summary>
    public GenAiMetrics GenAi { get; }

    /// <summary>Seconds between tokens as they reach the pump.</summary>
    public Histogram InterToken => Of(ModelHistogram.InterToken);

    /// <summary>Seconds that a write waited for its reader.</summary>
    public Histogram WriteStall => Of(ModelHistogram.WriteStall);

    /// <summary>Streams opened since start.</summary>
    public long StreamsCreated => Volatile.Read(ref _created);

    /// <summary>Streams closed since start; equal to <see cref="StreamsCreated"/> when nothing runs.</summary>
    public long StreamsReleased => Volatile.Read(ref _released);

    /// <summary>Tokens sent to clients since start.</summary>
    public long TokensSent => Volatile.Read(ref _tokensSent);

    /// <summary>Tokens generated and not sent: past a stop string, or for a client that was gone.</summary>
    public long TokensDropped => Volatile.Read(ref _tokensDropped);

    /// <summary>Token messages sent since start.</summary>
    public long MessagesSent => Volatile.Read(ref _messagesSent);

    /// <summary>Tokens that shared a message with an earlier one.</summary>
    public long MergedTokens => Volatile.Read(ref _mergedTokens);

    /// <summary>Tokens that ended requests computed again after preemption.</summary>
    public long RecomputedTokens => Volatile.Read(ref _recomputedTokens);

    /// <summary>Requests refused for any reason since start.</summary>
    public long RejectedInAll => _rejected.Sum();

    /// <summary>One of the histograms.</summary>
    public Histogram Of(ModelHistogram histogram) => _histograms[(int)histogram];

    /// <summary>Requests that ended for that reason since start.</summary>
    public long Ended(FinishReason reason) => Volatile.Read(ref _ended[(int)reason]);

    /// <summary>Requests refused for that reason since start.</summary>
    public long Rejected(RejectionReason reason) => Volatile.Read(ref _rejected[(int)reason]);

    /// <summary>A request was refused.</summary>
    public void CountRejected(RejectionReason reason) => Interlocked.Increment(ref _rejected[(int)reason]);

    /// <summary>A request was accepted.</summary>
    public void CountAccepted(int promptTokens, int maxTokens)
    {
        Interlocked.Increment(ref _created);
        Of(ModelHistogram.PromptTokens).Observe(promptTokens);
        Of(ModelHistogram.MaxTokens).Observe(maxTokens);
    }

    /// <summary>One token message went out.</summary>
    public void CountSent(int tokens)
    {
        Interlocked.Increment(ref _messagesSent);
        Interlocked.Add(ref _tokensSent, tokens);
        if (tokens > 1)
        {
            Interlocked.Add(ref _mergedTokens, tokens - 1);
        }
    }

    /// <summary>Tokens were generated that no client gets.</summary>
    public void CountDropped(int tokens) => Interlocked.Add(ref _tokensDropped, tokens);

    /// <summary>A request is over and its stream released.</summary>
    /// <param name="reason">Why it ended.</param>
    /// <param name="operation">What kind of request it was, in <see cref="GenAiMetrics"/>' words.</param>
    /// <param name="promptTokens">Tokens of its prompt.</param>
    /// <param name="outputTokens">Tokens sent.</param>
    /// <param name="timings">Its times; null when its ending was not awaited, so that they may still change.</param>
    public void CountEnded(FinishReason reason, string operation, int promptTokens, int outputTokens, RequestTimings? timings)
    {
        Interlocked.Increment(ref _released);
        Interlocked.Increment(ref _ended[(int)reason]);
        Of(ModelHistogram.OutputTokens).Observe(outputTokens);
        Of(ModelHistogram.MaxOutputTokens).Observe(outputTokens);
        if (timings is null)
        {
            return;
        }

        Interlocked.Add(ref _recomputedTokens, timings.RecomputedTokens);
        GenAi.CountEnded(operation, reason, outputTokens, timings);
        if (timings.Scheduled is { } scheduled)
        {
            Of(ModelHistogram.Queue).Observe((scheduled - timings.Arrived).TotalSeconds);
            Of(ModelHistogram.PrefillComputed).Observe(promptTokens - timings.CachedPromptTokens);
            ObserveFrom(scheduled, timings);
        }

        if (timings.Finished is { } finished)
        {
            Of(ModelHistogram.EndToEnd).Observe((finished - timings.Arrived).TotalSeconds);
            if (timings.FirstToken is { } first && outputTokens > 1)
            {
                Of(ModelHistogram.TimePerOutputToken).Observe((finished - first).TotalSeconds / (outputTokens - 1));
            }
        }
    }

    private void ObserveFrom(DateTimeOffset scheduled, RequestTimings timings)
    {
        if (timings.FirstToken is { } first)
        {
            Of(ModelHistogram.TimeToFirstToken).Observe((first - timings.Arrived).TotalSeconds);
            Of(ModelHistogram.Prefill).Observe((first - scheduled).TotalSeconds);
        }

        if (timings.Finished is { } finished)
        {
            Of(ModelHistogram.Inference).Observe((finished - scheduled).TotalSeconds);
            if (timings.FirstToken is { } start)
            {
                Of(ModelHistogram.Decode).Observe((finished - start).TotalSeconds);
            }
        }
    }
}
