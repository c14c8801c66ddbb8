using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>The inner loops of attention: scores of a few query rows with blocks of keys, and weighted sums of values.</summary>
/// <remarks>
/// A score has one accumulator that runs along the head, an output one that runs along the positions, whatever the number of rows:
/// a row's result does not depend on the rows beside it. Blocks have 16 slots.
/// </remarks>
internal static unsafe class AttentionTile
{
    /// <summary>Slots of a block: the lanes of a vector of scores.</summary>
    public const int Slots = 16;

    /// <summary>Scores of the rows with two blocks of keys, as <see cref="Memory.KvCache"/> lays them out.</summary>
    /// <param name="queries">[row, headDim].</param>
    /// <param name="headDim">Elements of a head.</param>
    /// <param name="keys0">First block.</param>
    /// <param name="keys1">Second block.</param>
    /// <param name="scores">[row, <paramref name="stride"/>], 32 written in each.</param>
    /// <param name="stride">Elements from one row of scores to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scores<TCache, TRows>(float* queries, int headDim, byte* keys0, byte* keys1, float* scores, int stride)
        where TCache : struct, ICacheLanes
        where TRows : struct, ITileWidth
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        for (var d = 0; d < headDim; d++)
        {
            var place = d / TCache.Pack * Slots;
            var k0 = TCache.Row(Vector512.Load((uint*)keys0 + place), d);
            var k1 = TCache.Row(Vector512.Load((uint*)keys1 + place), d);
            var q = Vector512.Create(queries[d]);
            a0 = Vector512.MultiplyAddEstimate(q, k0, a0);
            b0 = Vector512.MultiplyAddEstimate(q, k1, b0);
            if (TRows.Rows > 1)
            {
                q = Vector512.Create(queries[headDim + d]);
                a1 = Vector512.MultiplyAddEstimate(q, k0, a1);
                b1 = Vector512.MultiplyAddEstimate(q, k1, b1);
            }

            if (TRows.Rows > 2)
            {
                q = Vector512.Create(queries[(2 * headDim) + d]);
                a2 = Vector512.MultiplyAddEstimate(q, k0, a2);
                b2 = Vector512.MultiplyAddEstimate(q, k1, b2);
            }

            if (TRows.Rows > 3)
            {
                q = Vector512.Create(queries[(3 * headDim) + d]);
                a3 = Vector512.MultiplyAddEstimate(q, k0, a3);
                b3 = Vector512.MultiplyAddEstimate(q, k1, b3);
            }
        }

        a0.Store(scores);
        b0.Store(scores + Slots);
        if (TRows.Rows > 1)
        {
            a1.Store(scores + stride);
            b1.Store(scores + stride + Slots);
        }

        if (TRows.Rows > 2)
        {
            a2.Store(scores + (2 * stride));
            b2.Store(scores + (2 * stride) + Slots);
        }

        if (TRows.Rows > 3)
        {
            a3.Store(scores + (3 * stride));
            b3.Store(scores + (3 * stride) + Slots);
        }
    }

    /// <summary>Adds weighted values to 16 (or, with two chunks, 32) elements of each row's output.</summary>
    /// <param name="weights">[row, <paramref name="stride"/>] weights of positions, counted from the first block.</param>
    /// <param name="stride">Elements from one row of weights to the next.</param>
    /// <param name="values">[block] values of a block.</param>
    /// <param name="first">First position, counted from the first block.</param>
    /// <param name="end">One after the last position.</param>
    /// <param name="headDim">Elements of a head.</param>
    /// <param name="output">[row, headDim] at the first element wanted.</param>
    /// <param name="offset">Lanes from a block's values to the first element wanted.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Accumulate<TCache, TRows, TChunks>(
        float* weights, int stride, byte** values, int first, int end, int headDim, float* output, int offset)
        where TCache : struct, ICacheLanes
        where TRows : struct, ITileWidth
        where TChunks : struct, ITileWidth
    {
        var a0 = Vector512.Load(output);
        var a1 = TRows.Rows > 1 ? Vector512.Load(output + headDim) : default;
        var a2 = TRows.Rows > 2 ? Vector512.Load(output + (2 * headDim)) : default;
        var a3 = TRows.Rows > 3 ? Vector512.Load(output + (3 * headDim)) : default;
        var b0 = TChunks.Rows > 1 ? Vector512.Load(output + 16) : default;
        var b1 = TChunks.Rows > 1 && TRows.Rows > 1 ? Vector512.Load(output + headDim + 16) : default;
        var b2 = TChunks.Rows > 1 && TRows.Rows > 2 ? Vector512.Load(output + (2 * headDim) + 16) : default;
        var b3 = TChunks.Rows > 1 && TRows.Rows > 3 ? Vector512.Load(output + (3 * headDim) + 16) : default;
        for (var position = first; position < end;)
        {
            var slot = position % Slots;
            var stop = Math.Min(end, position - slot + Slots);
            var lanes = (uint*)values[position / Slots] + offset;
            for (; position < stop; position++, slot++)
            {
                var row = lanes + (slot / TCache.Pack * headDim);
                var v0 = TCache.Row(Vector512.Load(row), slot);
                var v1 = TChunks.Rows > 1 ? TCache.Row(Vector512.Load(row + 16), slot) : default;
                var w = Vector512.Create(weights[position]);
                a0 = Vector512.MultiplyAddEstimate(w, v0, a0);
                if (TChunks.Rows > 1)
                {
                    b0 = Vector512.MultiplyAddEstimate(w, v1, b0);
                }

                if (TRows.Rows > 1)
                {
                    w = Vector512.Create(weights[stride + position]);
                    a1 = Vector512.MultiplyAddEstimate(w, v0, a1);
                    if (TChunks.Rows > 1)
                    {
                        b1 = Vector512.MultiplyAddEstimate(w, v1, b1);
                    }
                }

                if (TRows.Rows > 2)
                {
                    w = Vector512.Create(weights[(2 * stride) + position]);
                    a2 = Vector512.MultiplyAddEstimate(w, v0, a2);
                    if (TChunks.Rows > 1)
                    {
                        b2 = Vector512.MultiplyAddEstimate(w, v1, b2);
                    }
                }

                if (TRows.Rows > 3)
                {
                    w = Vector512.Create(weights[(3 * stride) + position]);
                    a3 = Vector512.MultiplyAddEstimate(w, v0, a3);
                    if (TChunks.Rows > 1)
                    {
                        b3 = Vector512.MultiplyAddEstimate(w, v1, b3);
                    }
                }
            }
        }

        StoreRows<TRows>(output, headDim, a0, a1, a2, a3);
        if (TChunks.Rows > 1)
        {
            StoreRows<TRows>(output + 16, headDim, b0, b1, b2, b3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRows<TRows>(
        float* output, int headDim, Vector512<float> r0, Vector512<float> r1, Vector512<float> r2, Vector512<float> r3)
        where TRows : struct, ITileWidth
    {
        r0.Store(output);
        if (TRows.Rows > 1)
        {
            r1.Store(output + headDim);
        }

        if (TRows.Rows > 2)
        {
            r2.Store(output + (2 * headDim));
        }

        if (TRows.Rows > 3)
        {
            r3.Store(output + (3 * headDim));
        }
    }
}
