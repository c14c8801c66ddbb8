using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>One row's sampling rule, as it lies in device memory.</summary>
/// <remarks>
/// Mirrors <c>ms_sample_row</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal struct SampleRow
{
    public ulong Seed;
    public long Position;
    public float Temperature;
    public float TopP;
    public float MinP;
    public int TopK;
    public int Slot;
    public int Flags;
}
