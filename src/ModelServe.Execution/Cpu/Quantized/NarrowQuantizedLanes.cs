using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Quantised arithmetic with 256-bit registers of x86 (AVX2 and FMA).</summary>
internal readonly unsafe struct NarrowQuantizedLanes : IQuantizedLanes<Vector256<byte>, Vector256<short>, Vector256<int>>
{
    /// <inheritdoc />
    public static int Rows => 8;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* weight) => Vector256.Load(weight);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Low(Vector256<byte> weights) => weights & Vector256.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> High(Vector256<byte> weights) =>
        Vector256.ShiftRightLogical(weights.AsUInt16(), 4).AsByte() & Vector256.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Four(sbyte* x) => Vector256.Create(*(int*)x).AsByte();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Multiply(Vector256<byte> weights, Vector256<byte> x, Vector256<short> sums) =>
        sums + Avx2.MultiplyAddAdjacent(weights, x.AsSByte());

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Every(int value) => Vector256.Create(value);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> sums, Vector256<short> low, Vector256<short> high, short factor) =>
        sums + Avx2.MultiplyAddAdjacent(low, Vector256<short>.One) + Avx2.MultiplyAddAdjacent(high, Vector256.Create(factor));

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scale(Vector256<int> sums, byte* scales, bool isSecond, float scale, float* results)
    {
        var both = Vector256.Load((uint*)scales);
        var weights = (isSecond ? both & Vector256.Create(0xFFFF0000u) : Vector256.ShiftLeft(both, 16)).AsSingle();
        Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(sums), weights * scale, Vector256.Load(results)).Store(results);
    }
}
