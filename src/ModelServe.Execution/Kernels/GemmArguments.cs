using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of a product with a weight matrix.</summary>
/// <remarks>
/// Mirrors <c>ms_gemm_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GemmArguments
{
    public uint StructSize;
    public int Path;
    public int Epilogue;
    public int M;
    public int N;
    public int K;
    public int XDtype;
    public int WDtype;
    public int YDtype;
    public int Splits;
    public float Eps;
    public float WeightOffset;
    public int* Count;
    public void* X;
    public void* W;
    public float* XScale;
    public float* WScale;
    public void* NormWeight;
    public void* Bias;
    public void* Residual;
    public void* Y;
    public void* Workspace;
    public long WorkspaceBytes;
    public int* Tickets;
    public byte* AlgoH;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static GemmArguments Create() => new() { StructSize = (uint)sizeof(GemmArguments) };
}
