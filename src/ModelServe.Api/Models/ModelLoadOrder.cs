namespace ModelServe.Api.Models;

/// <summary>What to load, checked as far as the wire side can. Immutable.</summary>
/// <param name="Name">The name that requests will give.</param>
/// <param name="Directory">The checkpoint's folder: an absolute path without links, below an approved root.</param>
public sealed record ModelLoadOrder(string Name, string Directory)
{
    /// <summary>Tokens that one sequence may have; null leaves it to the process.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Memory for keys and values; null leaves it to the process.</summary>
    public long? CacheBytes { get; init; }

    /// <summary>How weights are kept, in the process's own words; null leaves it to the process.</summary>
    public string? DType { get; init; }
}
