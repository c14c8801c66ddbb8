namespace ModelServe.Engine.Admission;

/// <summary>How likely a model found each token of a prompt, given those before it. Complete and unchanging.</summary>
/// <remarks>
/// Of the prompt's first token nothing is known: entry i belongs to prompt token i + 1. Probabilities are those of the unmodified
/// logits, as of generated tokens. Made by the engine; any thread may read it.
/// </remarks>
public sealed class PromptLogprobs
{
    private readonly float[] _logprobs;
    private readonly int[] _ranks;
    private readonly int[] _topTokenIds;
    private readonly float[] _topLogprobs;

    /// <summary>Takes over arrays that nobody changes any more.</summary>
    /// <param name="topCount">Alternatives of each token.</param>
    /// <param name="logprobs">[token].</param>
    /// <param name="ranks">[token].</param>
    /// <param name="topTokenIds">[token * topCount + rank].</param>
    /// <param name="topLogprobs">[token * topCount + rank].</param>
    public PromptLogprobs(int topCount, float[] logprobs, int[] ranks, int[] topTokenIds, float[] topLogprobs)
    {
        TopCount = topCount;
        _logprobs = logprobs;
        _ranks = ranks;
        _topTokenIds = topTokenIds;
        _topLogprobs = topLogprobs;
    }

    /// <summary>Entries: the prompt's tokens but the first.</summary>
    public int Count => _logprobs.Length;

    /// <summary>Alternatives of each token.</summary>
    public int TopCount { get; }

    /// <summary>[entry] natural-log probability of the token.</summary>
    public ReadOnlySpan<float> Logprobs => _logprobs;

    /// <summary>[entry] its place among all tokens, the most likely being 1, equally likely ones by lower id.</summary>
    public ReadOnlySpan<int> Ranks => _ranks;

    /// <summary>The most likely tokens in place of one, best first.</summary>
    public ReadOnlySpan<int> TopTokenIds(int entry) => _topTokenIds.AsSpan(entry * TopCount, TopCount);

    /// <summary>Natural-log probabilities of <see cref="TopTokenIds"/>.</summary>
    public ReadOnlySpan<float> TopLogprobs(int entry) => _topLogprobs.AsSpan(entry * TopCount, TopCount);
}
