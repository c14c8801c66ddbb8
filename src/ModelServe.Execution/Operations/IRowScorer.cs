namespace ModelServe.Execution.Operations;

/// <summary>Takes the logits of prompt tokens, a tile of rows at a time, before they are overwritten.</summary>
/// <remarks>Thread: the engine's.</remarks>
internal interface IRowScorer
{
    /// <summary>Takes a tile.</summary>
    /// <param name="logits">[row, vocabulary], float32, where the operations put them; changed by whoever computes next.</param>
    /// <param name="start">The first row's place among the step's scored tokens.</param>
    /// <param name="count">Rows.</param>
    void Score(Activation logits, int start, int count);
}
