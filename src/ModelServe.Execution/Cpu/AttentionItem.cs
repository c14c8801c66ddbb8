namespace ModelServe.Execution.Cpu;

/// <summary>A few consecutive tokens of one sequence, whose attention is computed together for one key-value head at a time.</summary>
/// <param name="FirstToken">The first of them in the batch.</param>
/// <param name="Count">How many.</param>
/// <param name="FirstPosition">Position of the first.</param>
/// <param name="BlockRow">Where the sequence's block table starts.</param>
internal readonly record struct AttentionItem(int FirstToken, int Count, int FirstPosition, int BlockRow);
