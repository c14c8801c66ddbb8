namespace ModelServe.Execution.Operations;

/// <summary>The largest sizes that an <see cref="IOps"/> will meet, so that it can take all its memory when it is made.</summary>
/// <param name="MaxRows">Tokens of a step.</param>
/// <param name="MaxSequences">Sequences of a step, each of which may sample.</param>
/// <param name="MaxContext">Longest sequence, in tokens.</param>
/// <param name="HiddenSize">Columns of the residual stream.</param>
/// <param name="IntermediateSize">Columns of the gated activation's output.</param>
/// <param name="VocabularySize">Columns of the logits.</param>
/// <param name="Attention">Heads and their sizes.</param>
internal sealed record OpsShape(
    int MaxRows,
    int MaxSequences,
    int MaxContext,
    int HiddenSize,
    int IntermediateSize,
    int VocabularySize,
    AttentionShape Attention)
{
    private const int MostScoredRows = 64;

    /// <summary>Prompt tokens whose logits exist at a time: as many as read the head's weights once at little more than the cost of one.</summary>
    public int ScoredRows => Math.Min(MostScoredRows, MaxRows);

    /// <summary>The most rows that have logits at a time.</summary>
    public int LogitRows => Math.Max(MaxSequences, ScoredRows);
}
