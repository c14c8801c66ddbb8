namespace ModelServe.Engine.Running;

/// <summary>The sizes that engine and executor agree on for the life of a model.</summary>
/// <param name="VocabularySize">Token ids are in [0, this).</param>
/// <param name="MaxModelLength">Longest sequence, prompt and output, in tokens.</param>
/// <param name="BlockTokens">Tokens a key-value block holds (16).</param>
/// <param name="BlockCount">Blocks in the pool, with the null block 0, which is never rented.</param>
/// <param name="MaxSequences">Sequences that may run at once; slots are in [0, this).</param>
/// <param name="MaxBatchedTokens">Tokens that one step may feed.</param>
/// <param name="MaxTopLogprobs">Most alternatives that a result can carry per token.</param>
public sealed record ExecutorGeometry(
    int VocabularySize,
    int MaxModelLength,
    int BlockTokens,
    int BlockCount,
    int MaxSequences,
    int MaxBatchedTokens,
    int MaxTopLogprobs = 20)
{
    /// <summary>Blocks that the longest sequence needs.</summary>
    public int MaxBlocksPerSequence => (MaxModelLength + BlockTokens - 1) / BlockTokens;
}
