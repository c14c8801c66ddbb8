using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>A sequence enters a slot: first admission, or again after preemption.</summary>
/// <param name="Slot">The slot it holds until it ends or is preempted.</param>
/// <param name="Sampling">How its tokens are chosen.</param>
/// <param name="TokenIds">Prompt and output so far; valid until the step that carries it is collected.</param>
/// <param name="PromptLength">How many of <paramref name="TokenIds"/> are prompt; the rest is output (for penalties).</param>
/// <param name="Generates">Whether a token is sampled once all are fed; false for a prompt that is computed for itself.</param>
public readonly record struct SlotAssignment(int Slot, SamplingOptions Sampling, ReadOnlyMemory<int> TokenIds, int PromptLength, bool Generates = true);
