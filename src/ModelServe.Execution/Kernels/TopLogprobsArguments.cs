using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the most likely tokens of a row.</summary>
/// <remarks>
/// Mirrors <c>ms_top_logprobs_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TopLogprobsArguments
{
    public uint StructSize;
    public int NRows;
    public int Vocab;
    public int MaxN;
    public int* Count;
    public float* Logits;
    public int* Wanted;
    public int* Chosen;
    public int* Ids;
    public float* Logprobs;
    public float* ChosenLogprob;
    public int* ChosenRank;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static TopLogprobsArguments Create() => new() { StructSize = (uint)sizeof(TopLogprobsArguments) };
}
