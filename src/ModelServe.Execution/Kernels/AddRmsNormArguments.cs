using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the fused residual add and RMSNorm.</summary>
/// <remarks>
/// Mirrors <c>ms_add_rmsnorm_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AddRmsNormArguments
{
    public uint StructSize;
    public int NTokens;
    public int Hidden;
    public float Eps;
    public float WeightOffset;
    public int* Count;
    public void* X;
    public void* Residual;
    public void* Weight;
    public void* Out;
    public float* OutScale;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static AddRmsNormArguments Create() => new() { StructSize = (uint)sizeof(AddRmsNormArguments) };
}
