using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Loading;

/// <summary>A model's memory with its weights in place; whoever gets it disposes <paramref name="Memory"/>.</summary>
/// <param name="Memory">Weights, key-value pool and rotary tables.</param>
/// <param name="Plan">Where each byte of it goes.</param>
/// <param name="Map">Where each tensor is.</param>
/// <param name="Notes">What an operator should know of the loading, a sentence each.</param>
internal sealed record LoadedWeights(ModelMemory Memory, MemoryPlan Plan, WeightMap Map, IReadOnlyList<string> Notes);
