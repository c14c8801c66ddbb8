namespace ModelServe.Execution.Cpu.Attention;

/// <summary>One token whose chunks of positions are items of their own, so that several threads share a long context.</summary>
/// <param name="Token">The token in the batch.</param>
/// <param name="FirstPartial">Where the result of its first chunk is kept; the others follow.</param>
/// <param name="Chunks">How many there are.</param>
internal readonly record struct AttentionSplit(int Token, int FirstPartial, int Chunks);
