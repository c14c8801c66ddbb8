using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>How 32 consecutive weights come out of memory as two vectors, and how activations must be ordered to meet them.</summary>
/// <remarks>A type argument of the kernels, so that each storage type gets kernels of its own.</remarks>
internal unsafe interface IWeightLanes
{
    /// <summary>Bytes of a weight.</summary>
    static abstract int Size { get; }

    /// <summary>Sixteen of the 32 weights at <paramref name="p"/>: the ones that the first sixteen activations of a block belong to.</summary>
    static abstract Vector512<float> First(byte* p);

    /// <summary>The other sixteen.</summary>
    static abstract Vector512<float> Second(byte* p);

    /// <summary>Eight of <see cref="First"/>: those with lane numbers from <c>8 * half</c>.</summary>
    static abstract Vector256<float> First256(byte* p, int half);

    /// <summary>Eight of <see cref="Second"/>.</summary>
    static abstract Vector256<float> Second256(byte* p, int half);

    /// <summary>Puts 32 activations into the order of the weights' lanes.</summary>
    static abstract void Arrange(float* source, float* target);
}
