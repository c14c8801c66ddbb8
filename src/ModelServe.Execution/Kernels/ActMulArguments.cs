using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the gated activation.</summary>
/// <remarks>
/// Mirrors <c>ms_act_mul_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ActMulArguments
{
    public uint StructSize;
    public int NTokens;
    public int Features;
    public int Activation;
    public int* Count;
    public void* GateUp;
    public void* Out;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static ActMulArguments Create() => new() { StructSize = (uint)sizeof(ActMulArguments) };
}
