using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of head norm, rotation and the write into the paged cache.</summary>
/// <remarks>
/// Mirrors <c>ms_qk_rope_kv_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct QkRopeKvArguments
{
    public uint StructSize;
    public int NTokens;
    public int NQHeads;
    public int Layer;
    public int Rope;
    public int RotaryDim;
    public int MaxPosition;
    public float Eps;
    public float WeightOffset;
    public int* Count;
    public int* Positions;
    public long* KvSlots;
    public float* CosSin;
    public void* QWeight;
    public void* KWeight;
    public void* Qkv;
    public PagedCacheView* KvH;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static QkRopeKvArguments Create() => new() { StructSize = (uint)sizeof(QkRopeKvArguments) };
}
