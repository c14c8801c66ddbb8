using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>float32 weights: the lanes are the weights in their order.</summary>
internal readonly unsafe struct SingleWeightLanes : IWeightLanes
{
    /// <inheritdoc />
    public static int Size => sizeof(float);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* p) => Vector512.Load((float*)p);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* p) => Vector512.Load((float*)p + 16);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> First256(byte* p, int half) => Vector256.Load((float*)p + (8 * half));

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Second256(byte* p, int half) => Vector256.Load((float*)p + 16 + (8 * half));

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Arrange(float* source, float* target)
    {
        Vector512.Load(source).Store(target);
        Vector512.Load(source + 16).Store(target + 16);
    }
}
