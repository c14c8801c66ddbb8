using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the sampler.</summary>
/// <remarks>
/// Mirrors <c>ms_sample_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SampleArguments
{
    public uint StructSize;
    public int NRows;
    public int Vocab;
    public int* Count;
    public float* Logits;
    public SampleRow* Rows;
    public int* Tokens;
    public float* Logprob;
    public int* LastToken;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static SampleArguments Create() => new() { StructSize = (uint)sizeof(SampleArguments) };
}
