using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the greedy choice.</summary>
/// <remarks>
/// Mirrors <c>ms_argmax_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ArgmaxArguments
{
    public uint StructSize;
    public int NRows;
    public int Vocab;
    public int* Count;
    public float* Logits;
    public int* Out;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static ArgmaxArguments Create() => new() { StructSize = (uint)sizeof(ArgmaxArguments) };
}
