namespace ModelServe.Execution.Operations;

/// <summary>The largest sizes that an <see cref="IOps"/> will meet, so that it can take all its memory when it is made.</summary>
/// <param name="MaxRows">Tokens of a step.</param>
/// <param name="MaxSequences">Sequences of a step, which is also the most rows that get logits.</param>
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
    AttentionShape Attention);
