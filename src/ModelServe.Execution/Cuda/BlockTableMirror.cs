using ModelServe.Engine.Running;

namespace ModelServe.Execution.Cuda;

/// <summary>Knows how much of each slot's block table the device has, and so what a step must bring.</summary>
/// <remarks>A slot's row only grows while one sequence holds it. Thread: the engine's.</remarks>
internal sealed class BlockTableMirror(ExecutorGeometry geometry)
{
    private readonly int[] _sent = new int[geometry.MaxSequences];

    /// <summary>Another sequence takes the slot: nothing of its row is on the device.</summary>
    public void Reset(int slot) => _sent[slot] = 0;

    /// <summary>Blocks that the device lacks of a slot whose sequence has that many tokens after the step.</summary>
    public int Missing(int slot, int context) => Math.Max(0, Needed(context) - _sent[slot]);

    /// <summary>The place of the next block that the device lacks, which counts as brought from now on.</summary>
    public int Next(int slot) => _sent[slot]++;

    private int Needed(int context) => (context + geometry.BlockTokens - 1) / geometry.BlockTokens;
}
