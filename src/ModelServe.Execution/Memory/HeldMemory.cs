namespace ModelServe.Execution.Memory;

/// <summary>What one model of this process holds, or will hold, of a GPU's memory.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Bytes">The total of its plan.</param>
public sealed record HeldMemory(string Model, long Bytes);
