namespace ModelServe.Engine.Admission;

/// <summary>Where one request's time and work went. Complete once its final delta was read.</summary>
/// <remarks>Written by the engine thread before it publishes the delta that the reader sees.</remarks>
public sealed class RequestTimings
{
    /// <summary>When the request was admitted.</summary>
    public DateTimeOffset Arrived { get; set; }

    /// <summary>When its first step was planned; null while queued.</summary>
    public DateTimeOffset? Scheduled { get; set; }

    /// <summary>When its first token was settled.</summary>
    public DateTimeOffset? FirstToken { get; set; }

    /// <summary>When it ended.</summary>
    public DateTimeOffset? Finished { get; set; }

    /// <summary>Prompt tokens that the prefix cache had at first admission.</summary>
    public int CachedPromptTokens { get; set; }

    /// <summary>Times it lost its blocks to another sequence.</summary>
    public int Preemptions { get; set; }

    /// <summary>Tokens computed again because of preemption.</summary>
    public int RecomputedTokens { get; set; }
}
