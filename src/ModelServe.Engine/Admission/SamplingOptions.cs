namespace ModelServe.Engine.Admission;

/// <summary>How the next token of one sequence is chosen from its logits. Immutable; every value is resolved, none is "default".</summary>
/// <remarks>
/// Order of application (that of vLLM's sampler, which users compare with): raw logprobs are taken from the unmodified
/// logits; then logit bias, minimum tokens (stop ids masked), repetition, frequency, presence penalty, constraint, temperature,
/// min-p, top-k, top-p, draw. Repetition covers prompt and output; frequency and presence cover the output only.
/// The draw depends on (seed, position) alone, never on batch mates.
/// </remarks>
public sealed record SamplingOptions
{
    /// <summary>Greedy decoding without penalties.</summary>
    public static SamplingOptions Greedy { get; } = new();

    /// <summary>Softmax temperature, in [0, 100]; 0 (or below 1e-5) is greedy.</summary>
    public float Temperature { get; init; }

    /// <summary>Keep the k most likely tokens; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of most likely tokens whose probabilities sum to at least this, in (0, 1]; 1 keeps all.</summary>
    public float TopP { get; init; } = 1f;

    /// <summary>Drop tokens less likely than this share of the most likely one, in [0, 1]; 0 drops none.</summary>
    public float MinP { get; init; }

    /// <summary>Key of the random stream; a request that gave none gets one at admission.</summary>
    public ulong Seed { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens seen in prompt or output, in (0, 2]; 1 is off.</summary>
    public float RepetitionPenalty { get; init; } = 1f;

    /// <summary>Subtracted once from the logit of each token seen in the output, in [-2, 2].</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from a logit per occurrence in the output, in [-2, 2].</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Added to single logits first.</summary>
    public IReadOnlyList<LogitBias> LogitBias { get; init; } = [];

    /// <summary>How many most likely tokens are reported with each token, in [0, 20]; null reports no logprob at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>How many most likely tokens are reported with each token of the prompt, in [0, 20], beside its own log probability; null reports nothing of the prompt.</summary>
    /// <remarks>Positions whose logits it needs are computed even where the prefix cache has them.</remarks>
    public int? PromptLogprobs { get; init; }

    /// <summary>Stop token ids are masked until this many tokens exist in the output.</summary>
    public int MinTokens { get; init; }

    /// <summary>The ids that end the sequence; used here only to mask them before <see cref="MinTokens"/>.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>What the output must consist of; null for anything. Its mask is applied to the logits after everything else that changes them.</summary>
    public ITokenConstraint? Constraint { get; init; }

    /// <summary>Whether the most likely token is taken instead of a draw.</summary>
    public bool IsGreedy => Temperature < 1e-5f;

    /// <summary>Whether any rule needs the counts of earlier tokens.</summary>
    public bool HasPenalties => RepetitionPenalty != 1f || PresencePenalty != 0f || FrequencyPenalty != 0f;
}
