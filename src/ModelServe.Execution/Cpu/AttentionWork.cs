using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu;

/// <summary>Causal attention over the paged cache, as the threads that share it see it.</summary>
/// <remarks>
/// Scores are made for <see cref="TilePositions"/> positions at a time, tiles starting at multiples of that, with a running greatest score
/// and sum (online softmax). All query heads of a key-value head go over the cache together. A token's result depends on no
/// other token: scores beyond what it sees are replaced, and add exactly nothing.
/// </remarks>
internal unsafe struct AttentionWork
{
    /// <summary>Positions of a tile.</summary>
    public const int TilePositions = 128;

    private const int Slots = AttentionTile.Slots;
    private const int TileBlocks = TilePositions / Slots;

    /// <summary>The step's items.</summary>
    public AttentionItem* Items;

    /// <summary>[thread + 1] first unit of each thread.</summary>
    public int* Starts;

    /// <summary>Units of the step.</summary>
    public int Units;

    /// <summary>Blocks of all sequences.</summary>
    public int* BlockTables;

    /// <summary>[token, queries | keys | values].</summary>
    public float* Fused;

    /// <summary>[token, queries].</summary>
    public float* Output;

    /// <summary>The layer's part of the cache.</summary>
    public byte* Cache;

    /// <summary>How the cache is stored.</summary>
    public ElementType Type;

    /// <summary>[thread, ScratchFloats].</summary>
    public float* Scratch;

    /// <summary>Floats of scratch a thread has.</summary>
    public long ScratchFloats;

    /// <summary>Most rows of a unit.</summary>
    public int MaxRows;

    /// <summary>Query heads of a key-value head.</summary>
    public int Group;

    /// <summary>Key-value heads.</summary>
    public int Heads;

    /// <summary>Elements of a head.</summary>
    public int HeadDim;

    /// <summary>Positions that a query sees; 0 for all.</summary>
    public int Window;

    /// <summary>Multiplies each score.</summary>
    public float Scale;

    /// <summary>Floats of scratch that a thread needs.</summary>
    public static long FloatsFor(int rows, int headDim) => (long)rows * ((2 * headDim) + TilePositions + (2 * Slots));

    /// <summary>Computes one part of several of the <see cref="AttentionWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (AttentionWork*)context;
        var first = parts == 1 ? 0 : work->Starts[part];
        var last = parts == 1 ? work->Units : work->Starts[part + 1];
        var scratch = work->Scratch + (part * work->ScratchFloats);
        for (var unit = first; unit < last; unit++)
        {
            if (work->Type == ElementType.BFloat16)
            {
                Unit<CacheLanes.BFloat16>(work, work->Items + (unit / work->Heads), unit % work->Heads, scratch);
            }
            else
            {
                Unit<CacheLanes.Single32>(work, work->Items + (unit / work->Heads), unit % work->Heads, scratch);
            }
        }
    }

    private static void Unit<TCache>(AttentionWork* work, AttentionItem* item, int head, float* scratch)
        where TCache : struct, ICacheLanes
    {
        var dim = work->HeadDim;
        var rows = item->Count * work->Group;
        var queries = scratch;
        var sums = queries + ((long)work->MaxRows * dim);
        var scores = sums + ((long)work->MaxRows * dim);
        var greatest = scores + ((long)work->MaxRows * TilePositions);
        var totals = greatest + work->MaxRows;
        LoadQueries(work, item, head, queries);
        new Span<float>(sums, rows * dim).Clear();
        new Span<float>(greatest, rows).Fill(float.NegativeInfinity);
        new Span<float>(totals, rows).Clear();

        var keys = stackalloc byte*[TileBlocks];
        var values = stackalloc byte*[TileBlocks];
        var headBytes = (long)Slots * dim * TCache.Size;
        var low = work->Window == 0 ? 0 : Math.Max(0, item->FirstPosition - work->Window + 1);
        var end = item->FirstPosition + item->Count;
        for (var tile = low / TilePositions * TilePositions; tile < end; tile += TilePositions)
        {
            var begin = Math.Max(tile, low / Slots * Slots);
            var stop = Math.Min(tile + TilePositions, end);
            var blocks = (stop - begin + Slots - 1) / Slots;
            var table = work->BlockTables + item->BlockRow + (begin / Slots);
            for (var block = 0; block < blocks; block++)
            {
                keys[block] = work->Cache + (2 * headBytes * (((long)table[block] * work->Heads) + head));
                values[block] = keys[block] + headBytes;
            }

            for (var block = 0; block < blocks; block += 2)
            {
                // An odd last block is paired with itself; nobody reads the second copy.
                var second = block + 1 < blocks ? block + 1 : block;
                ScoreRows<TCache>(queries, rows, dim, keys[block], keys[second], scores + (block * Slots));
            }

            for (var row = 0; row < rows; row++)
            {
                var position = item->FirstPosition + (row / work->Group);
                var from = work->Window == 0 ? begin : Math.Max(begin, position - work->Window + 1);
                Soften(
                    scores + (row * TilePositions), blocks, from - begin, Math.Min(stop - 1, position) - begin,
                    greatest + row, totals + row, sums + (row * dim), dim);
            }

            SumRows<TCache>(scores, rows, values, Math.Max(0, low - begin), stop - begin, dim, sums);
        }

        StoreOutput(work, item, head, sums, totals);
    }

    private static void LoadQueries(AttentionWork* work, AttentionItem* item, int head, float* queries)
    {
        var dim = work->HeadDim;
        var width = work->Group * dim;
        var scale = Vector512.Create(work->Scale);
        var fusedColumns = (work->Group + 2) * work->Heads * dim;
        for (var token = 0; token < item->Count; token++)
        {
            var source = work->Fused + ((long)(item->FirstToken + token) * fusedColumns) + ((long)head * width);
            for (var i = 0; i < width; i += 16)
            {
                (Vector512.Load(source + i) * scale).Store(queries + (token * width) + i);
            }
        }
    }

    private static void StoreOutput(AttentionWork* work, AttentionItem* item, int head, float* sums, float* totals)
    {
        var dim = work->HeadDim;
        var columns = work->Group * work->Heads * dim;
        for (var row = 0; row < item->Count * work->Group; row++)
        {
            var token = item->FirstToken + (row / work->Group);
            var target = work->Output + ((long)token * columns) + ((long)((head * work->Group) + (row % work->Group)) * dim);
            var factor = Vector512.Create(1f / totals[row]);
            for (var i = 0; i < dim; i += 16)
            {
                (Vector512.Load(sums + (row * dim) + i) * factor).Store(target + i);
            }
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
                weights, TilePositions, values, first, end, dim, sums + i, (long)i * TCache.Size);
        }

        if (i < dim)
        {
            AttentionTile.Accumulate<TCache, TRows, TileWidths.One>(
                weights, TilePositions, values, first, end, dim, sums + i, (long)i * TCache.Size);
        }
    }
}
