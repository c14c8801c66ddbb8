using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Attention of a few rows over a run of positions, in C#: right everywhere, whatever vectors the processor has.</summary>
/// <remarks>
/// Scores are made for <see cref="TilePositions"/> positions at a time, tiles starting at multiples of that, with a running greatest score
/// and sum (online softmax). Arithmetic is float32. A token's result depends on no other token: scores beyond what it sees are
/// replaced, and add exactly nothing.
/// </remarks>
internal static unsafe class AttentionKernel
{
    private const int TilePositions = 128;
    private const int Slots = AttentionTile.Slots;
    private const int TileBlocks = TilePositions / Slots;

    /// <summary>Computes a run.</summary>
    public static void Run<TCache>(AttentionChunk* chunk)
        where TCache : struct, ICacheLanes
    {
        var dim = chunk->HeadDim;
        var rows = chunk->Rows;
        var scores = (float*)chunk->Scratch;
        new Span<float>(chunk->Sums, rows * dim).Clear();
        new Span<float>(chunk->Greatest, rows).Fill(float.NegativeInfinity);
        new Span<float>(chunk->Totals, rows).Clear();

        var keys = stackalloc byte*[TileBlocks];
        var values = stackalloc byte*[TileBlocks];
        var keyBytes = (long)Slots * dim * sizeof(float) / TCache.Pack;
        var low = chunk->Window == 0 ? 0 : Math.Max(0, chunk->FirstPosition - chunk->Window + 1);
        for (var begin = chunk->Begin; begin < chunk->End; begin = (begin / TilePositions * TilePositions) + TilePositions)
        {
            var stop = Math.Min((begin / TilePositions * TilePositions) + TilePositions, chunk->End);
            var blocks = (stop - begin + Slots - 1) / Slots;
            var table = chunk->Blocks + (begin / Slots);
            for (var block = 0; block < blocks; block++)
            {
                keys[block] = chunk->Cache + (chunk->BlockBytes * table[block]);
                values[block] = keys[block] + keyBytes;
            }

            for (var block = 0; block < blocks; block += 2)
            {
                // An odd last block is paired with itself; nobody reads the second copy.
                var second = block + 1 < blocks ? block + 1 : block;
                ScoreRows<TCache>(chunk->Queries, rows, dim, keys[block], keys[second], scores + (block * Slots));
            }

            for (var row = 0; row < rows; row++)
            {
                var position = chunk->FirstPosition + (row / chunk->Group);
                var from = chunk->Window == 0 ? begin : Math.Max(begin, position - chunk->Window + 1);
                if (TCache.HasScales)
                {
                    Scale(scores + (row * TilePositions), values, blocks, keyBytes);
                }

                Soften(
                    scores + (row * TilePositions), blocks, from - begin, Math.Min(stop - 1, position) - begin,
                    chunk->Greatest + row, chunk->Totals + row, chunk->Sums + (row * dim), dim);
                if (TCache.HasScales)
                {
                    Scale(scores + (row * TilePositions), values, blocks, keyBytes + (Slots * sizeof(float)));
                }
            }

            SumRows<TCache>(scores, rows, values, Math.Max(0, low - begin), stop - begin, dim, chunk->Sums);
        }
    }

    private static void Scale(float* scores, byte** values, int blocks, long offset)
    {
        for (var block = 0; block < blocks; block++, scores += Slots)
        {
            (Vector512.Load(scores) * Vector512.Load((float*)(values[block] + offset))).Store(scores);
        }
    }

    private static void ScoreRows<TCache>(float* queries, int rows, int dim, byte* keys0, byte* keys1, float* scores)
        where TCache : struct, ICacheLanes
    {
        for (var row = 0; row < rows; row += 4, queries += 4 * dim, scores += 4 * TilePositions)
        {
            switch (rows - row)
            {
                case 1: AttentionTile.Scores<TCache, TileWidths.One>(queries, dim, keys0, keys1, scores, TilePositions); break;
                case 2: AttentionTile.Scores<TCache, TileWidths.Two>(queries, dim, keys0, keys1, scores, TilePositions); break;
                case 3: AttentionTile.Scores<TCache, TileWidths.Three>(queries, dim, keys0, keys1, scores, TilePositions); break;
                default: AttentionTile.Scores<TCache, TileWidths.Four>(queries, dim, keys0, keys1, scores, TilePositions); break;
            }
        }
    }

    /// <summary>Turns a row's scores into weights relative to its greatest score so far, and rescales what it has summed to that.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Soften(float* scores, int blocks, int from, int to, float* greatest, float* total, float* sums, int dim)
    {
        if (from > to)
        {
            new Span<float>(scores, blocks * Slots).Clear();
            return;
        }

        var hidden = Vector512.Create(float.NegativeInfinity);
        var max = hidden;
        for (var block = 0; block < blocks; block++)
        {
            var score = Vector512.Load(scores + (block * Slots));
            if ((block * Slots) < from || (block * Slots) + Slots - 1 > to)
            {
                var position = Vector512.Create(block * Slots) + Vector512<int>.Indices;
                var seen = Vector512.GreaterThanOrEqual(position, Vector512.Create(from)) &
                    Vector512.LessThanOrEqual(position, Vector512.Create(to));
                score = Vector512.ConditionalSelect(seen.AsSingle(), score, hidden);
                score.Store(scores + (block * Slots));
            }

            max = Vector512.MaxNative(max, score);
        }

        var bound = MathF.Max(*greatest, Reduction.Max(max));
        if (bound > *greatest)
        {
            var factor = Exponential.Of(*greatest - bound);
            *greatest = bound;
            *total *= factor;
            for (var i = 0; i < dim; i += 16)
            {
                (Vector512.Load(sums + i) * factor).Store(sums + i);
            }
        }

        var sum = Vector512<float>.Zero;
        for (var block = 0; block < blocks; block++)
        {
            var weight = Exponential.Of(Vector512.Load(scores + (block * Slots)) - Vector512.Create(bound));
            weight.Store(scores + (block * Slots));
            sum += weight;
        }

        *total += Reduction.Sum(sum);
    }

    private static void SumRows<TCache>(float* weights, int rows, byte** values, int first, int end, int dim, float* sums)
        where TCache : struct, ICacheLanes
    {
        for (var row = 0; row < rows; row += 4, weights += 4 * TilePositions, sums += 4 * dim)
        {
            switch (rows - row)
            {
                case 1: SumChunks<TCache, TileWidths.One>(weights, values, first, end, dim, sums); break;
                case 2: SumChunks<TCache, TileWidths.Two>(weights, values, first, end, dim, sums); break;
                case 3: SumChunks<TCache, TileWidths.Three>(weights, values, first, end, dim, sums); break;
                default: SumChunks<TCache, TileWidths.Four>(weights, values, first, end, dim, sums); break;
            }
        }
    }

    private static void SumChunks<TCache, TRows>(float* weights, byte** values, int first, int end, int dim, float* sums)
        where TCache : struct, ICacheLanes
        where TRows : struct, ITileWidth
    {
        var i = 0;
        for (; i + 32 <= dim; i += 32)
        {
            AttentionTile.Accumulate<TCache, TRows, TileWidths.Two>(
                weights, TilePositions, values, first, end, dim, sums + i, i);
        }

        if (i < dim)
        {
            AttentionTile.Accumulate<TCache, TRows, TileWidths.One>(
                weights, TilePositions, values, first, end, dim, sums + i, i);
        }
    }
}
