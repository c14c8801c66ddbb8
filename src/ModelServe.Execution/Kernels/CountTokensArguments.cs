using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the token counts behind penalties.</summary>
/// <remarks>
/// Mirrors <c>ms_count_tokens_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CountTokensArguments
{
    public uint StructSize;
    public int NItems;
    public int Vocab;
    public int* Count;
    public int* Slot;
    public int* Token;
    public int* Mode;
    public ushort* Counts;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static CountTokensArguments Create() => new() { StructSize = (uint)sizeof(CountTokensArguments) };
}
