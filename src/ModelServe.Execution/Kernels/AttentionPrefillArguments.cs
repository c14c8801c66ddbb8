using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of causal attention of a chunk over prefix and chunk.</summary>
/// <remarks>
/// Mirrors <c>ms_attn_prefill_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AttentionPrefillArguments
{
    public uint StructSize;
    public int NRows;
    public int NTiles;
    public int NQHeads;
    public int Layer;
    public int MaxBlocks;
    public int Window;
    public float SoftmaxScale;
    public float Softcap;
    public int QStride;
    public int* TileCount;
    public int* TileRow;
    public int* TileStart;
    public int* Slot;
    public int* TokenStart;
    public int* ContextLen;
    public int* BlockTable;
    public float* Sinks;
    public void* Q;
    public void* Out;
    public PagedCacheView* KvH;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static AttentionPrefillArguments Create() => new() { StructSize = (uint)sizeof(AttentionPrefillArguments) };
}
