using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Quantised arithmetic with 512-bit registers of x86 (AVX-512 BW).</summary>
internal readonly unsafe struct WideQuantizedLanes : IQuantizedLanes<Vector512<byte>, Vector512<short>, Vector512<int>>
{
    /// <inheritdoc />
    public static int Rows => 16;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Load(byte* weight) => Vector512.Load(weight);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Low(Vector512<byte> weights) => weights & Vector512.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> High(Vector512<byte> weights) =>
        Vector512.ShiftRightLogical(weights.AsUInt16(), 4).AsByte() & Vector512.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Four(sbyte* x) => Vector512.Create(*(int*)x).AsByte();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Multiply(Vector512<byte> weights, Vector512<byte> x, Vector512<short> sums) =>
        sums + Avx512BW.MultiplyAddAdjacent(weights, x.AsSByte());

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Every(int value) => Vector512.Create(value);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> sums, Vector512<short> low, Vector512<short> high, short factor) =>
        sums + Avx512BW.MultiplyAddAdjacent(low, Vector512<short>.One) + Avx512BW.MultiplyAddAdjacent(high, Vector512.Create(factor));

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scale(Vector512<int> sums, byte* scales, bool isSecond, float scale, float* results)
    {
        var both = Vector512.Load((uint*)scales);
        var weights = (isSecond ? both & Vector512.Create(0xFFFF0000u) : Vector512.ShiftLeft(both, 16)).AsSingle();
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(sums), weights * scale, Vector512.Load(results)).Store(results);
    }
}
