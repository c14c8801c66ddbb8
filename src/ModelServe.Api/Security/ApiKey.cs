using ModelServe.Engine.Admission;

namespace ModelServe.Api.Security;

/// <summary>One key of the key file: whose it is, what it may do, and the hash that recognizes it. Immutable; the key itself is nowhere.</summary>
internal sealed record ApiKey
{
    /// <summary>Name of the key, for logs, fairness and the prefix cache; unique in its file.</summary>
    public required string Id { get; init; }

    /// <summary>SHA-256 of the key's UTF-8 bytes; 32 bytes.</summary>
    public required ReadOnlyMemory<byte> Hash { get; init; }

    /// <summary>Sequences that may be live at once; null has no limit.</summary>
    public int? MaxConcurrent { get; init; }

    /// <summary>Requests that may begin in a minute; null has no limit.</summary>
    public long? RequestsPerMinute { get; init; }

    /// <summary>Tokens, prompt and output, in a minute; null has no limit.</summary>
    public long? TokensPerMinute { get; init; }

    /// <summary>Share against the other keys while requests wait, from 1 to 1000.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>The tier of requests that name none, and the highest that they may name.</summary>
    public ServiceTier Tier { get; init; }

    /// <summary>Whether an operator's methods are open to it.</summary>
    public bool IsAdmin { get; init; }

    /// <summary>Keys of one group share their cached prefixes; null shares with nobody.</summary>
    public string? CacheGroup { get; init; }

    /// <summary>When it stops to be valid; null never does.</summary>
    public DateTimeOffset? Expires { get; init; }
}
