using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of attention with one query token a sequence.</summary>
/// <remarks>
/// Mirrors <c>ms_attn_decode_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AttentionDecodeArguments
{
    public uint StructSize;
    public int NRows;
    public int NWork;
    public int NQHeads;
    public int Layer;
    public int ChunkTokens;
    public int MaxBlocks;
    public int Window;
    public float SoftmaxScale;
    public float Softcap;
    public int QStride;
    public int* WorkCount;
    public int* WorkRow;
    public int* WorkChunk;
    public int* WorkIndptr;
    public int* Slot;
    public int* ContextLen;
    public int* BlockTable;
    public float* Sinks;
    public void* Q;
    public void* Out;
    public float* Partial;
    public int* Tickets;
    public PagedCacheView* KvH;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static AttentionDecodeArguments Create() => new() { StructSize = (uint)sizeof(AttentionDecodeArguments) };
}
