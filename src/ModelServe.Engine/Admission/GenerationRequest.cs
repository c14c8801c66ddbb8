namespace ModelServe.Engine.Admission;

/// <summary>One sequence that a client wants generated: token ids in, limits, and how to sample. Immutable and validated.</summary>
/// <remarks>Made by the Api after reading and checking a message; the Engine sees neither text nor tensors.</remarks>
public sealed record GenerationRequest
{
    /// <summary>Name of the request, unique among the live requests of one engine.</summary>
    public required string RequestId { get; init; }

    /// <summary>The prompt; at least one id, each in [0, vocabulary size).</summary>
    public required ReadOnlyMemory<int> PromptTokenIds { get; init; }

    /// <summary>Upper bound on new tokens; with 0 the request ends once its prompt is computed.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = SamplingOptions.Greedy;

    /// <summary>Ids that end the sequence once <see cref="SamplingOptions.MinTokens"/> is reached; empty when end-of-sequence is ignored.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>In [-1000, 1000]. Higher runs first among the requests of one tenant and tier; equal ones in order of arrival.</summary>
    public int Priority { get; init; }

    /// <summary>How much it may be made to wait for others.</summary>
    public ServiceTier Tier { get; init; }

    /// <summary>Whose request it is: those who wait are served by turns, weighted by <see cref="TenantWeight"/>. Empty for nobody in particular.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>The tenant's share against others', from 1 to 1000; the latest that the engine hears of a tenant counts.</summary>
    public int TenantWeight { get; init; } = 1;

    /// <summary>The point of the engine's <see cref="TimeProvider"/> clock after which no work is done; null has none.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Prefix blocks are shared only between requests of equal salt (one per tenant by default).</summary>
    public ulong CacheSalt { get; init; }

    /// <summary>Whether the prefix cache is neither read nor written for this request.</summary>
    public bool BypassPrefixCache { get; init; }
}
