using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Quantization;

/// <summary>Rounds rows of float32 to the few bits of a quantised matrix, and measures what that loses.</summary>
/// <remarks>
/// A group's scale is a bfloat16, and elements are rounded to the nearest multiple of that very number. In 8 bits it is the smallest that
/// lets the largest element through. In 4 bits the largest element may fall on -8, the one side's extra step, and smaller scales that
/// clip it are tried as well: whichever has the least squared error wins, the first of equals. A group whose largest element is below
/// <see cref="Smallest"/> becomes zero. The same rows give the same bytes on every machine. Threads may do different rows of one matrix.
/// </remarks>
internal static unsafe class RowQuantizer
{
    /// <summary>Raised whenever the same weights would give other bytes.</summary>
    public const int Version = 1;

    /// <summary>Largest element below which a group is zero: its scale would lose digits, and its products would vanish anyway.</summary>
    public const float Smallest = 1e-30f;

    private const int Lanes = 16;
    private const int Vectors = QuantizedShape.GroupColumns / Lanes;

    // Shares of the scale that lets the whole group through; less clips its largest elements and rounds the others more finely.
    private static ReadOnlySpan<float> Shares => [1f, 0.93f, 0.86f, 0.79f, 0.72f];

    /// <summary>Quantises one row.</summary>
    /// <param name="shape">The matrix.</param>
    /// <param name="target">Its first byte.</param>
    /// <param name="row">Which row.</param>
    /// <param name="source">The row, <see cref="QuantizedShape.PaddedColumns"/> elements of which those beyond the columns are zero.</param>
    /// <param name="error">Gets the row's squared error and its squares added.</param>
    /// <returns>-1, or the first column that is not a finite number; then the row is not written whole.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Quantize(in QuantizedShape shape, byte* target, int row, float* source, ref QuantizationError error)
    {
        for (var group = 0; group < shape.Groups; group++)
        {
            var values = source + (group * QuantizedShape.GroupColumns);
            var largest = Largest(values);
            if (!float.IsFinite(largest))
            {
                return FirstNotFinite(values) + (group * QuantizedShape.GroupColumns);
            }

            var scale = largest < Smallest ? 0f
                : shape.Format == QuantizedFormat.Int8 ? RoundUp(largest / 127f)
                : BestScale(values, largest);
            *(ushort*)(target + shape.ScaleOffset(row, group)) = BFloat.FromSingle(scale);
            Store(shape.Format, target + shape.GroupOffset(row, group), values, scale);
            if (scale == 0)
            {
                error.AddLost(values, QuantizedShape.GroupColumns);
            }
            else
            {
                error.Add(Lost(shape.Format, values, scale, largest), Squares(values, largest), largest);
            }
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(float* values)
    {
        // As whole numbers, so that not-a-number is larger than everything.
        var most = Vector512<int>.Zero;
        for (var i = 0; i < Vectors; i++)
        {
            most = Vector512.Max(most, Vector512.Load((int*)(values + (i * Lanes))) & Vector512.Create(int.MaxValue));
        }

        var half = Vector256.Max(most.GetLower(), most.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return BitConverter.Int32BitsToSingle(Math.Max(
            Math.Max(quarter.GetElement(0), quarter.GetElement(1)), Math.Max(quarter.GetElement(2), quarter.GetElement(3))));
    }

    private static int FirstNotFinite(float* values)
    {
        var i = 0;
        while (float.IsFinite(values[i]))
        {
            i++;
        }

        return i;
    }

    private static float RoundUp(float value)
    {
        var rounded = BFloat.ToSingle(BFloat.FromSingle(value));
        return rounded < value ? BFloat.ToSingle((ushort)(BFloat.FromSingle(value) + 1)) : rounded;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float BestScale(float* values, float largest)
    {
        var negative = false;
        for (var i = 0; i < Vectors; i++)
        {
            negative |= Vector512.EqualsAny(Vector512.Load(values + (i * Lanes)), Vector512.Create(-largest));
        }

        // The largest element falls on -8 whatever its sign.
        var whole = (negative ? largest : -largest) / 8f;
        var best = 0f;
        var least = float.PositiveInfinity;
        foreach (var share in Shares)
        {
            var scale = BFloat.ToSingle(BFloat.FromSingle(whole * share));
            var lost = Lost(QuantizedFormat.Int4, values, scale, largest);
            if (lost < least)
            {
                (best, least) = (scale, lost);
            }
        }

        return best;
    }

    // Squares are those of shares of the largest element, so that none overflows or vanishes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Lost(QuantizedFormat format, float* values, float scale, float largest)
    {
        var unit = Vector512.Create(1f / largest);
        var inverse = Inverse(scale);
        var squares = Vector512<float>.Zero;
        for (var i = 0; i < Vectors; i++)
        {
            var value = Vector512.Load(values + (i * Lanes));
            var lost = (value - (Rounded(format, value, inverse) * scale)) * unit;
            squares += lost * lost;
        }

        return Vector512.Sum(squares);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Squares(float* values, float largest)
    {
        var unit = Vector512.Create(1f / largest);
        var squares = Vector512<float>.Zero;
        for (var i = 0; i < Vectors; i++)
        {
            var share = Vector512.Load(values + (i * Lanes)) * unit;
            squares += share * share;
        }

        return Vector512.Sum(squares);
    }

    private static float Inverse(float scale) => scale == 0 ? 0f : 1f / scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Rounded(QuantizedFormat format, Vector512<float> value, float inverse)
    {
        // Nothing here is not-a-number, and nothing beyond the range of int is left.
        var (low, high) = format == QuantizedFormat.Int8 ? (-127f, 127f) : (-8f, 7f);
        return Vector512.MinNative(
            Vector512.MaxNative(Vector512.Round(value * inverse), Vector512.Create(low)), Vector512.Create(high));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(QuantizedFormat format, byte* target, float* values, float scale)
    {
        var offset = Vector512.Create(format.Offset());
        var inverse = Inverse(scale);
        var elements = stackalloc uint[QuantizedShape.GroupColumns / 4];
        for (var i = 0; i < Vectors; i++)
        {
            var steps = Rounded(format, Vector512.Load(values + (i * Lanes)), inverse);
            Bytes((Vector512.ConvertToInt32Native(steps) + offset).AsUInt32()).AsUInt32().Store(elements + (4 * i));
        }

        if (format == QuantizedFormat.Int8)
        {
            for (var quad = 0; quad < QuantizedShape.GroupColumns / 4; quad++)
            {
                *(uint*)(target + (quad * QuantizedShape.LineBytes)) = elements[quad];
            }
        }
        else
        {
            for (var pair = 0; pair < QuantizedShape.GroupColumns / 8; pair++)
            {
                *(uint*)(target + (pair * QuantizedShape.LineBytes)) = elements[2 * pair] | (elements[(2 * pair) + 1] << 4);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Bytes(Vector512<uint> value)
    {
        var shorts = Vector256.Narrow(value.GetLower(), value.GetUpper());
        return Vector128.Narrow(shorts.GetLower(), shorts.GetUpper());
    }
}
