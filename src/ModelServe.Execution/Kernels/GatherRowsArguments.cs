using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the gathering of rows.</summary>
/// <remarks>
/// Mirrors <c>ms_gather_rows_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GatherRowsArguments
{
    public uint StructSize;
    public int NRows;
    public int Columns;
    public int* Count;
    public int* Index;
    public void* X;
    public void* Out;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static GatherRowsArguments Create() => new() { StructSize = (uint)sizeof(GatherRowsArguments) };
}
