using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Attention of a few query rows over a run of one head's positions, as <c>ms_cpu_attention</c> in <c>attention.h</c> lays it out.</summary>
/// <remarks>What the C# kernels and the native ones both take: results are sums that runs after each other can be put together from.</remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AttentionChunk
{
    /// <summary>[Rows, HeadDim], multiplied by the scale of the scores; row r belongs to token r / Group.</summary>
    public float* Queries;

    /// <summary>[Rows, HeadDim] result: values times the exponentials of the scores less the greatest.</summary>
    public float* Sums;

    /// <summary>[Rows] result: the greatest score, or minus infinity where a row sees none of the positions.</summary>
    public float* Greatest;

    /// <summary>[Rows] result: the sum of the exponentials.</summary>
    public float* Totals;

    /// <summary><see cref="ScratchBytes"/>, aligned to 64 bytes.</summary>
    public byte* Scratch;

    /// <summary>The head's part of block 0.</summary>
    public byte* Cache;

    /// <summary>From one block to the next.</summary>
    public long BlockBytes;

    /// <summary>The sequence's blocks, from position 0 on.</summary>
    public int* Blocks;

    /// <summary>Query rows.</summary>
    public int Rows;

    /// <summary>Rows of a token.</summary>
    public int Group;

    /// <summary>Elements of a head: a multiple of 16, at most 256.</summary>
    public int HeadDim;

    /// <summary>Position of the first token; the next one's is one more.</summary>
    public int FirstPosition;

    /// <summary>Positions that a query sees; 0 for all.</summary>
    public int Window;

    /// <summary>The first position of the run: a multiple of 16.</summary>
    public int Begin;

    /// <summary>One after the last; every slot before it is filled.</summary>
    public int End;

    private int _reserved;

    /// <summary>Bytes of scratch that a kernel needs for that many rows: MS_CPU_ATTENTION_SCRATCH.</summary>
    public static long ScratchBytes(int rows) => ((rows + 15L) / 16 * 16 * 1920) + 512;
}
