using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the step prologue: block table changes, rows expanded to tokens.</summary>
/// <remarks>
/// Mirrors <c>ms_step_begin_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StepBeginArguments
{
    public uint StructSize;
    public int NRows;
    public int NTokens;
    public int NDeltas;
    public int MaxBlocks;
    public int BlockSize;
    public int* Counts;
    public int* DeltaSlot;
    public int* DeltaIndex;
    public int* DeltaBlock;
    public int* Slot;
    public int* TokenStart;
    public int* FirstPosition;
    public int* InputIds;
    public int* LastToken;
    public int* BlockTable;
    public int* TokenIds;
    public int* Positions;
    public long* KvSlots;
    public int* ContextLen;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static StepBeginArguments Create() => new() { StructSize = (uint)sizeof(StepBeginArguments) };
}
