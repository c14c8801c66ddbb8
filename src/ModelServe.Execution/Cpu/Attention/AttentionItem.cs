namespace ModelServe.Execution.Cpu.Attention;

/// <summary>A few consecutive tokens of one sequence, whose attention is computed together for one key-value head at a time.</summary>
/// <param name="FirstToken">The first of them in the batch.</param>
/// <param name="Count">How many.</param>
/// <param name="FirstPosition">Position of the first.</param>
/// <param name="BlockRow">Where the sequence's block table starts.</param>
/// <param name="Chunk">The only chunk of positions that this item covers, or -1 if it covers all.</param>
/// <param name="Partial">Where the result of that chunk is kept until the others are there; 0 without one.</param>
internal readonly record struct AttentionItem(int FirstToken, int Count, int FirstPosition, int BlockRow, int Chunk, int Partial);
