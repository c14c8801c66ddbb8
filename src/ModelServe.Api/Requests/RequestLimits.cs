namespace ModelServe.Api.Requests;

/// <summary>Largest values that a request may carry, beside those that follow from the model. Immutable.</summary>
/// <remarks>They bound the work and memory that one message can cause before it is admitted.</remarks>
public sealed record RequestLimits
{
    /// <summary>Bytes of one request message.</summary>
    public int MessageBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Characters of a text prompt, or of all turns of a conversation together.</summary>
    public int PromptCharacters { get; init; } = 1024 * 1024;

    /// <summary>Turns of a conversation.</summary>
    public int Messages { get; init; } = 1024;

    /// <summary>Tools of a conversation.</summary>
    public int Tools { get; init; } = 128;

    /// <summary>Characters of a function's name.</summary>
    public int FunctionNameCharacters { get; init; } = 64;

    /// <summary>Outputs for one prompt.</summary>
    public int Choices { get; init; } = 16;

    /// <summary>Prompts of one request, and sequences that it makes together.</summary>
    public int Prompts { get; init; } = 64;

    /// <summary>Entries of a request's metadata.</summary>
    public int MetadataEntries { get; init; } = 16;

    /// <summary>Nesting of a JSON value inside a request.</summary>
    public int JsonDepth { get; init; } = 32;

    /// <summary>Stop strings.</summary>
    public int StopStrings { get; init; } = 16;

    /// <summary>Characters of one stop string.</summary>
    public int StopStringCharacters { get; init; } = 256;

    /// <summary>Stop token ids that a request adds to the model's.</summary>
    public int StopTokenIds { get; init; } = 128;

    /// <summary>Entries of the logit bias.</summary>
    public int LogitBiasEntries { get; init; } = 1024;

    /// <summary>Alternatives reported with each token.</summary>
    public int TopLogprobs { get; init; } = 20;

    /// <summary>Log probabilities of prompt tokens in one answer, alternatives counted; what they take on the wire stays below gRPC's usual 4 MiB.</summary>
    public int PromptLogprobs { get; init; } = 256 * 1024;

    /// <summary>Characters of a request id, of a cache salt, of a role.</summary>
    public int NameCharacters { get; init; } = 128;

    /// <summary>Time after which any request ends, whatever deadline its call has.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a client may leave its stream unread.</summary>
    public TimeSpan StalledWrite { get; init; } = TimeSpan.FromSeconds(30);
}
