using ModelServe.Execution.Memory;

namespace ModelServe.Host.Models;

/// <summary>A device that is to hold a model, and what of its memory the model may take.</summary>
/// <param name="Device">As on the command line: auto, cpu, cuda or cuda:N.</param>
/// <param name="MemoryBytes">At most so much; null leaves it to the plan.</param>
/// <param name="HeldByOthers">What other models hold of the same GPU.</param>
internal sealed record DeviceRoom(string Device, long? MemoryBytes, IReadOnlyList<HeldMemory> HeldByOthers);
