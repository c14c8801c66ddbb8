using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>What the requests of one model did, counted as they happen. Every member may be used from any thread.</summary>
internal sealed class ModelMetrics
{
    private readonly long[] _ended = new long[Enum.GetValues<FinishReason>().Length];
    private readonly long[] _rejected = new long[Enum.GetValues<RejectionReason>().Length];
    private long _created;
    private long _released;
    private long _tokensSent;
    private long _tokensDropped;
    private long _messagesSent;
    private long _mergedTokens;

    /// <summary>Seconds from acceptance to the first token.</summary>
    public Histogram TimeToFirstToken { get; } = new(MetricBuckets.FirstToken);

    /// <summary>Seconds between tokens as they reach the pump.</summary>
    public Histogram InterToken { get; } = new(MetricBuckets.InterToken);

    /// <summary>Mean seconds a token, one observation a request.</summary>
    public Histogram TimePerOutputToken { get; } = new(MetricBuckets.InterToken);

    /// <summary>Seconds from acceptance to the end.</summary>
    public Histogram EndToEnd { get; } = new(MetricBuckets.Request);

    /// <summary>Seconds from acceptance to the first step.</summary>
    public Histogram Queue { get; } = new(MetricBuckets.Request);

    /// <summary>Seconds from the first step to the end.</summary>
    public Histogram Inference { get; } = new(MetricBuckets.Request);

    /// <summary>Seconds from the first step to the first token.</summary>
    public Histogram Prefill { get; } = new(MetricBuckets.Request);

    /// <summary>Seconds from the first token to the end.</summary>
    public Histogram Decode { get; } = new(MetricBuckets.Request);

    /// <summary>Prompt tokens of a request.</summary>
    public Histogram PromptTokens { get; } = new(MetricBuckets.Tokens);

    /// <summary>Output tokens of a request.</summary>
    public Histogram OutputTokens { get; } = new(MetricBuckets.Tokens);

    /// <summary>Output tokens that a request allowed.</summary>
    public Histogram MaxTokens { get; } = new(MetricBuckets.Tokens);

    /// <summary>Seconds that a write waited for its reader.</summary>
    public Histogram WriteStall { get; } = new(MetricBuckets.Request);

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
        PromptTokens.Observe(promptTokens);
        MaxTokens.Observe(maxTokens);
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
    /// <param name="outputTokens">Tokens sent.</param>
    /// <param name="timings">Its times; null when its ending was not awaited, so that they may still change.</param>
    public void CountEnded(FinishReason reason, int outputTokens, RequestTimings? timings)
    {
        Interlocked.Increment(ref _released);
        Interlocked.Increment(ref _ended[(int)reason]);
        OutputTokens.Observe(outputTokens);
        if (timings is null)
        {
            return;
        }

        if (timings.Scheduled is { } scheduled)
        {
            Queue.Observe((scheduled - timings.Arrived).TotalSeconds);
            ObserveFrom(scheduled, timings);
        }

        if (timings.Finished is { } finished)
        {
            EndToEnd.Observe((finished - timings.Arrived).TotalSeconds);
            if (timings.FirstToken is { } first && outputTokens > 1)
            {
                TimePerOutputToken.Observe((finished - first).TotalSeconds / (outputTokens - 1));
            }
        }
    }

    private void ObserveFrom(DateTimeOffset scheduled, RequestTimings timings)
    {
        if (timings.FirstToken is { } first)
        {
            TimeToFirstToken.Observe((first - timings.Arrived).TotalSeconds);
            Prefill.Observe((first - scheduled).TotalSeconds);
        }

        if (timings.Finished is { } finished)
        {
            Inference.Observe((finished - scheduled).TotalSeconds);
            if (timings.FirstToken is { } start)
            {
                Decode.Observe((finished - start).TotalSeconds);
            }
        }
    }
}
