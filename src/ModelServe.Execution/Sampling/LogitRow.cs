using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Sampling;

/// <summary>What is computed over a whole row of logits, one vocabulary long, in vectors.</summary>
internal static class LogitRow
{
    // A float sum of this many terms is exact to about 1e-6; the sums of the pieces are added in double precision.
    private const int Piece = 4096;

    /// <summary>The greatest logit; not-a-number if any logit is not finite.</summary>
    public static float FiniteMax(ReadOnlySpan<float> row)
    {
        var max = Vector512.Create(float.NegativeInfinity);
        var doubt = Vector512<float>.Zero;
        var i = 0;
        for (; i + Vector512<float>.Count <= row.Length; i += Vector512<float>.Count)
        {
            var v = Vector512.LoadUnsafe(in row[i]);
            max = Vector512.MaxNative(max, v);

            // Zero for what is finite, not-a-number for all else, and it stays.
            doubt += v - v;
        }

        var greatest = Greatest(max);
        var rest = Vector512.Sum(doubt);
        for (; i < row.Length; i++)
        {
            greatest = MathF.Max(greatest, row[i]);
            rest += row[i] - row[i];
        }

        return rest == 0f ? greatest : float.NaN;
    }

    /// <summary>The greatest logit, for rows in which masked ones are minus infinity.</summary>
    public static float Max(ReadOnlySpan<float> row)
    {
        var max = Vector512.Create(float.NegativeInfinity);
        var i = 0;
        for (; i + Vector512<float>.Count <= row.Length; i += Vector512<float>.Count)
        {
            max = Vector512.MaxNative(max, Vector512.LoadUnsafe(in row[i]));
        }

        var greatest = Greatest(max);
        for (; i < row.Length; i++)
        {
            greatest = MathF.Max(greatest, row[i]);
        }

        return greatest;
    }

    /// <summary><c>output[i] = exp((row[i] − max) * scale)</c>; returns the sum. Infinite logits below are allowed and give 0.</summary>
    public static double Exponentials(ReadOnlySpan<float> row, float max, float scale, Span<float> output)
    {
        var total = 0.0;
        for (var start = 0; start < row.Length; start += Piece)
        {
            var length = Math.Min(Piece, row.Length - start);
            total += ExponentialPiece(row.Slice(start, length), max, scale, output.Slice(start, length));
        }

        return total;
    }

    /// <summary>The logarithm of the sum of exponentials; <paramref name="max"/> is the greatest logit.</summary>
    public static double LogSumExp(ReadOnlySpan<float> row, float max)
    {
        Span<float> scratch = stackalloc float[Piece];
        var total = 0.0;
        for (var start = 0; start < row.Length; start += Piece)
        {
            var length = Math.Min(Piece, row.Length - start);
            total += ExponentialPiece(row.Slice(start, length), max, 1f, scratch[..length]);
        }

        return max + Math.Log(total);
    }

    /// <summary>The <paramref name="ids"/>.Length greatest logits, best first, ties by lower id; <paramref name="values"/> takes them.</summary>
    public static void Top(ReadOnlySpan<float> row, Span<int> ids, Span<float> values)
    {
        values.Fill(float.NegativeInfinity);
        ids.Fill(-1);
        if (ids.IsEmpty)
        {
            return;
        }

        var i = 0;
        for (; i + Vector512<float>.Count <= row.Length; i += Vector512<float>.Count)
        {
            // Nearly every vector fails this test, because the bar is soon high.
            if (Vector512.GreaterThanAny(Vector512.LoadUnsafe(in row[i]), Vector512.Create(values[^1])))
            {
                for (var j = i; j < i + Vector512<float>.Count; j++)
                {
                    Insert(row[j], j, ids, values);
                }
            }
        }

        for (; i < row.Length; i++)
        {
            Insert(row[i], i, ids, values);
        }
    }

    /// <summary>The place of a token among all, the greatest logit's being 1, ties by lower id.</summary>
    public static int Rank(ReadOnlySpan<float> row, int id)
    {
        // What equals it counts before it and not behind it.
        var value = row[id];
        return 1 + CountAbove(row[..id], MathF.BitDecrement(value)) + CountAbove(row[(id + 1)..], value);
    }

    private static int CountAbove(ReadOnlySpan<float> row, float bound)
    {
        var count = 0;
        var i = 0;
        for (; i + Vector512<float>.Count <= row.Length; i += Vector512<float>.Count)
        {
            var above = Vector512.GreaterThan(Vector512.LoadUnsafe(in row[i]), Vector512.Create(bound));
            count += BitOperations.PopCount(above.ExtractMostSignificantBits());
        }

        for (; i < row.Length; i++)
        {
            count += row[i] > bound ? 1 : 0;
        }

        return count;
    }

    private static float Greatest(Vector512<float> lanes)
    {
        var greatest = lanes[0];
        for (var lane = 1; lane < Vector512<float>.Count; lane++)
        {
            greatest = MathF.Max(greatest, lanes[lane]);
        }

        return greatest;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Insert(float value, int id, Span<int> ids, Span<float> values)
    {
        if (!(value > values[^1]))
        {
            return;
        }

        var place = values.Length - 1;
        while (place > 0 && value > values[place - 1])
        {
            values[place] = values[place - 1];
            ids[place] = ids[place - 1];
            place--;
        }

        values[place] = value;
        ids[place] = id;
    }

    private static float ExponentialPiece(ReadOnlySpan<float> row, float max, float scale, Span<float> output)
    {
        var sum = Vector512<float>.Zero;
        var bound = Vector512.Create(max);
        var factor = Vector512.Create(scale);
        var i = 0;
        for (; i + Vector512<float>.Count <= row.Length; i += Vector512<float>.Count)
        {
            var weight = Vector512.Exp((Vector512.LoadUnsafe(in row[i]) - bound) * factor);
            weight.StoreUnsafe(ref output[i]);
            sum += weight;
        }

        var total = Vector512.Sum(sum);
        for (; i < row.Length; i++)
        {
            output[i] = MathF.Exp((row[i] - max) * scale);
            total += output[i];
        }

        return total;
    }
}
