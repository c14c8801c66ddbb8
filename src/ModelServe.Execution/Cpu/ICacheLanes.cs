using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu;

/// <summary>How sixteen consecutive elements of the key-value cache come out of memory.</summary>
/// <remarks>A type argument of the attention kernels.</remarks>
internal unsafe interface ICacheLanes
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    /// <summary>The sixteen elements from the given one, widened.</summary>
    static abstract Vector512<float> Load(byte* start, int element);
}
