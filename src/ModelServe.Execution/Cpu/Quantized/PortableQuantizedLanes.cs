using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Quantised arithmetic with 128-bit registers of any processor, in operations that every one has.</summary>
internal readonly unsafe struct PortableQuantizedLanes : IQuantizedLanes<Vector128<byte>, Vector128<short>, Vector128<int>>
{
    /// <inheritdoc />
    public static int Rows => 4;

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Load(byte* weight) => Vector128.Load(weight);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Low(Vector128<byte> weights) => weights & Vector128.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> High(Vector128<byte> weights) =>
        Vector128.ShiftRightLogical(weights.AsUInt16(), 4).AsByte() & Vector128.Create((byte)15);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Four(sbyte* x) => Vector128.Create(*(int*)x).AsByte();

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<short> Multiply(Vector128<byte> weights, Vector128<byte> x, Vector128<short> sums) =>
        // Even bytes, then odd ones, each widened to the 16 bits of its pair; the sign of an activation comes along.
        sums
        + ((weights.AsInt16() & Vector128.Create((short)0xFF)) * Vector128.ShiftRightArithmetic(Vector128.ShiftLeft(x.AsInt16(), 8), 8))
        + (Vector128.ShiftRightLogical(weights.AsInt16(), 8) * Vector128.ShiftRightArithmetic(x.AsInt16(), 8));

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Every(int value) => Vector128.Create(value);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> sums, Vector128<short> low, Vector128<short> high, short factor) =>
        sums + Pairs(low) + (Pairs(high) * factor);

    /// <inheritdoc />
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scale(Vector128<int> sums, byte* scales, bool isSecond, float scale, float* results)
    {
        var both = Vector128.Load((uint*)scales);
        var weights = (isSecond ? both & Vector128.Create(0xFFFF0000u) : Vector128.ShiftLeft(both, 16)).AsSingle();
        Vector128.FusedMultiplyAdd(Vector128.ConvertToSingle(sums), weights * scale, Vector128.Load(results)).Store(results);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Pairs(Vector128<short> sums) =>
        Vector128.ShiftRightArithmetic(Vector128.ShiftLeft(sums.AsInt32(), 16), 16) + Vector128.ShiftRightArithmetic(sums.AsInt32(), 16);
}
