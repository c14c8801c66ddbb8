using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>Arguments of the copy of whole cache blocks.</summary>
/// <remarks>
/// Mirrors <c>ms_block_copy_args</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BlockCopyArguments
{
    public uint StructSize;
    public int NPairs;
    public int* Count;
    public long* From;
    public long* To;
    public PagedCacheView* SourceH;
    public PagedCacheView* KvH;

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static BlockCopyArguments Create() => new() { StructSize = (uint)sizeof(BlockCopyArguments) };
}
