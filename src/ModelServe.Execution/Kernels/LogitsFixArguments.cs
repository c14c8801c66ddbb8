using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of bias, penalties and grammar masks.</summary>
/// <remarks>
/// Mirrors <c>ms_logits_fix_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LogitsFixArguments
{
    public uint StructSize;
    public int NRows;
    public int Vocab;
    public int* Count;
    public int* RowFlags;
    public int* Slot;
    public float* Penalties;
    public ushort* Counts;
    public int* BiasIndptr;
    public int* BiasIds;
    public float* BiasValues;
    public uint* Bitmask;
    public float* Logits;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static LogitsFixArguments Create() => new() { StructSize = (uint)sizeof(LogitsFixArguments) };
}
