namespace ModelServe.Engine.Admission;

/// <summary>The tokens that one request gained since its reader last looked. Reused by the reader; filled by <see cref="TokenStream"/>.</summary>
/// <remarks>Lists run in parallel: entry i of each belongs to output token i of this delta.</remarks>
public sealed class TokenDelta
{
    /// <summary>The new tokens, in order; a stop token that ended the sequence is included.</summary>
    public List<int> TokenIds { get; } = [];

    /// <summary>Log probability of each token; empty when logprobs were not asked for.</summary>
    public List<float> Logprobs { get; } = [];

    /// <summary>Number of alternatives of each token; empty when logprobs were not asked for.</summary>
    public List<int> TopCounts { get; } = [];

    /// <summary>Alternatives of all tokens, one token's after the other's.</summary>
    public List<int> TopTokenIds { get; } = [];

    /// <summary>Log probabilities of <see cref="TopTokenIds"/>.</summary>
    public List<float> TopLogprobs { get; } = [];

    /// <summary>What was asked about the prompt's tokens; in one delta of the request, with the first token or before, and else null.</summary>
    public PromptLogprobs? PromptLogprobs { get; set; }

    /// <summary>Why the sequence ended; <see cref="FinishReason.None"/> while it runs. The last delta alone carries another value.</summary>
    public FinishReason FinishReason { get; set; }

    /// <summary>The stop token id that ended the sequence, if one did.</summary>
    public int? MatchedStopTokenId { get; set; }

    /// <summary>What went wrong when <see cref="FinishReason"/> is <see cref="FinishReason.Error"/>.</summary>
    public string? Error { get; set; }

    /// <summary>Empties the delta for the next read.</summary>
    public void Clear()
    {
        TokenIds.Clear();
        Logprobs.Clear();
        TopCounts.Clear();
        TopTokenIds.Clear();
        TopLogprobs.Clear();
        PromptLogprobs = null;
        FinishReason = FinishReason.None;
        MatchedStopTokenId = null;
        Error = null;
    }
}
