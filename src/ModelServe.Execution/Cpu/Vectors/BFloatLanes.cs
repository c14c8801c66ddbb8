using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Vectors;

/// <summary>Conversions between sixteen float32 and sixteen bfloat16 in memory.</summary>
internal static unsafe class BFloatLanes
{
    /// <summary>Sixteen bfloat16, widened; exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(ushort* source)
    {
        if (Avx512F.IsSupported)
        {
            return Vector512.ShiftLeft(Avx512F.ConvertToVector512UInt32(Vector256.Load(source)), 16).AsSingle();
        }

        var (low, high) = Vector256.Widen(Vector256.Load(source));
        return Vector512.ShiftLeft(Vector512.Create(low, high), 16).AsSingle();
    }

    /// <summary>Sixteen floats, rounded to nearest even; not-a-number stays not-a-number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, ushort* target)
    {
        var high = Rounded(value);
        if (Avx512F.IsSupported)
        {
            Avx512F.ConvertToVector256UInt16(high).Store(target);
            return;
        }

        Vector256.Narrow(high.GetLower(), high.GetUpper()).Store(target);
    }

    /// <summary>The bits of the rounded values, one in the low half of each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Rounded(Vector512<float> value)
    {
        var bits = value.AsUInt32();
        var even = Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One;
        var rounded = Vector512.ShiftRightLogical(bits + Vector512.Create(0x7FFFu) + even, 16);
        var quiet = Vector512.ShiftRightLogical(bits, 16) | Vector512.Create(0x40u);
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, quiet);
    }

    /// <summary>Any number of bfloat16, widened; exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(ushort* source, float* target, int count)
    {
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            Load(source + i).Store(target + i);
        }

        for (; i < count; i++)
        {
            target[i] = BFloat.ToSingle(source[i]);
        }
    }
}
