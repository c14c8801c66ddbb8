namespace ModelServe.Execution.Quantization;

/// <summary>How a model's weights are quantised while they load.</summary>
public sealed record WeightQuantization
{
    /// <summary>The value of <see cref="CacheDirectory"/> that keeps nothing.</summary>
    public const string NoCache = "none";

    /// <summary>The value of <see cref="CacheBytes"/> unless told otherwise.</summary>
    public const long DefaultCacheBytes = 32L << 30;

    /// <summary>How the layers' matrices are stored.</summary>
    public required QuantizedFormat Format { get; init; }

    /// <summary>How the embedding table and the output head are stored.</summary>
    public HeadQuantization Head { get; init; }

    /// <summary>
    /// Where quantised weights are kept for the next start; null takes <c>modelserve</c> in the user's cache folder, and
    /// <see cref="NoCache"/> keeps nothing.
    /// </summary>
    public string? CacheDirectory { get; init; }

    /// <summary>Bytes that all entries of that folder may take; those used longest ago go first.</summary>
    public long CacheBytes { get; init; } = DefaultCacheBytes;
}
