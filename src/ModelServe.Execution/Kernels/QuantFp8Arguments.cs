using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the quantisation of rows to fp8.</summary>
/// <remarks>
/// Mirrors <c>ms_quant_fp8_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct QuantFp8Arguments
{
    public uint StructSize;
    public int NRows;
    public int Columns;
    public int* Count;
    public void* X;
    public void* Out;
    public float* Scale;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static QuantFp8Arguments Create() => new() { StructSize = (uint)sizeof(QuantFp8Arguments) };
}
