using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>bfloat16 weights, two in each 32-bit lane: the even ones by a shift, the odd ones by a mask, with no widening shuffle.</summary>
internal readonly unsafe struct BFloatWeightLanes : IWeightLanes
{
    private const uint UpperHalf = 0xFFFF0000u;

    /// <inheritdoc />
    public static int Size => sizeof(ushort);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* p) => Vector512.ShiftLeft(Vector512.Load((uint*)p), 16).AsSingle();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* p) => (Vector512.Load((uint*)p) & Vector512.Create(UpperHalf)).AsSingle();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> First256(byte* p, int half) =>
        Vector256.ShiftLeft(Vector256.Load((uint*)p + (8 * half)), 16).AsSingle();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Second256(byte* p, int half) =>
        (Vector256.Load((uint*)p + (8 * half)) & Vector256.Create(UpperHalf)).AsSingle();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Arrange(float* source, float* target)
    {
        var low = Vector512.Load((ulong*)source);
        var high = Vector512.Load((ulong*)source + 8);
        Vector512.Narrow(low, high).AsSingle().Store(target);
        Vector512.Narrow(low >> 32, high >> 32).AsSingle().Store(target + 16);
    }
}
