using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Where the paged keys and values lie, and their shape.</summary>
/// <remarks>
/// Mirrors <c>ms_kv_cache</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PagedCacheView
{
    public uint StructSize;
    public int Dtype;
    public int NLayers;
    public int NKvHeads;
    public int HeadDim;
    public int BlockSize;
    public long NBlocks;
    public void* Base;
    public float* KScale;
    public float* VScale;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static PagedCacheView Create() => new() { StructSize = (uint)sizeof(PagedCacheView) };
}
