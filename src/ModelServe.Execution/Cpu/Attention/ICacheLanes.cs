using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>How elements of the key-value cache come out of memory, sixteen at a time.</summary>
/// <remarks>
/// A lane of 32 bits holds as many elements as fit, of rows that follow each other: a register of lanes is one element of each of
/// sixteen columns, for each of those rows. A type argument of the attention kernels.
/// </remarks>
internal interface ICacheLanes
{
    /// <summary>Rows whose elements share a lane.</summary>
    static abstract int Pack { get; }

    /// <summary>Whether each slot's key and value have a scale.</summary>
    static abstract bool HasScales { get; }

    /// <summary>One row's elements of sixteen lanes, widened.</summary>
    /// <param name="lanes">The lanes of rows <c>row / Pack * Pack</c> and following.</param>
    /// <param name="row">The row.</param>
    static abstract Vector512<float> Row(Vector512<uint> lanes, int row);
}
