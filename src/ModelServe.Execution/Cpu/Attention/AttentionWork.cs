using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Causal attention over the paged cache, as the threads that share it see it.</summary>
/// <remarks>
/// All query heads of a key-value head go over the cache together. A context is computed in chunks of <see cref="ChunkPositions"/>
/// positions that start at multiples of that, each with its own greatest score and sums, which are then put together in order:
/// by one thread after another chunk, or by several threads at once, with the same result bit for bit.
/// </remarks>
internal unsafe struct AttentionWork
{
    /// <summary>Positions of a chunk.</summary>
    public const int ChunkPositions = 1024;

    /// <summary>The step's items.</summary>
    public AttentionItem* Items;

    /// <summary>Which units are whose.</summary>
    public PartShares Shares;

    /// <summary>Blocks of all sequences.</summary>
    public int* BlockTables;

    /// <summary>[token, queries | keys | values].</summary>
    public float* Fused;

    /// <summary>[token, queries].</summary>
    public float* Output;

    /// <summary>The layer's part of the cache.</summary>
    public byte* Cache;

    /// <summary>Bytes of one head's part of a block.</summary>
    public long HeadBytes;

    /// <summary>Computes one chunk.</summary>
    public delegate*<AttentionChunk*, void> Attend;

    /// <summary>[thread, ScratchBytes].</summary>
    public byte* Scratch;

    /// <summary>Bytes of scratch a thread has.</summary>
    public long ScratchBytes;

    /// <summary>[partial, head, <see cref="PartialFloats"/>] results of chunks that are items of their own.</summary>
    public float* Partials;

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

    /// <summary>Bytes of scratch that a thread needs.</summary>
    public static long BytesFor(int rows, int headDim) =>
        AttentionChunk.ScratchBytes(rows) + (Padded(rows) * ((3 * headDim) + 4) * sizeof(float));

    /// <summary>Floats of one head's result of a chunk for one token: its sums, greatest scores and totals.</summary>
    public static int PartialFloats(int group, int headDim) => group * (headDim + 2);

    /// <summary>Takes units of the <see cref="AttentionWork"/> at <paramref name="context"/> until there are none left.</summary>
    public static void Run(void* context, int thread, int shares)
    {
        var work = (AttentionWork*)context;
        var scratch = work->Scratch + (thread * work->ScratchBytes);
        while (work->Shares.TryTake(thread, out var unit, out _))
        {
            Unit(work, work->Items + (unit / work->Heads), unit % work->Heads, scratch);
        }
    }

    /// <summary>Puts the chunks of one token together, and writes its output.</summary>
    public static void Combine(AttentionWork* work, in AttentionSplit split)
    {
        var floats = PartialFloats(work->Group, work->HeadDim);
        for (var head = 0; head < work->Heads; head++)
        {
            var sums = work->Partials + (((long)split.FirstPartial * work->Heads) + head) * floats;
            var greatest = sums + (work->Group * work->HeadDim);
            for (var chunk = 1; chunk < split.Chunks; chunk++)
            {
                var other = sums + ((long)chunk * work->Heads * floats);
                var otherGreatest = other + (work->Group * work->HeadDim);
                for (var row = 0; row < work->Group; row++)
                {
                    Merge(
                        sums + (row * work->HeadDim), greatest + row, greatest + work->Group + row,
                        other + (row * work->HeadDim), otherGreatest[row], otherGreatest[work->Group + row], work->HeadDim);
                }
            }

            StoreOutput(work, split.Token, work->Group, head, sums, greatest + work->Group);
        }
    }

    private static long Padded(int rows) => (rows + 15L) / 16 * 16;

    private static void Unit(AttentionWork* work, AttentionItem* item, int head, byte* scratch)
    {
        var dim = work->HeadDim;
        var rows = item->Count * work->Group;
        var low = work->Window == 0 ? 0 : Math.Max(0, item->FirstPosition - work->Window + 1);
        var end = item->FirstPosition + item->Count;
        var queries = (float*)(scratch + AttentionChunk.ScratchBytes(work->MaxRows));
        var sums = queries + (Padded(work->MaxRows) * dim);
        var others = sums + (Padded(work->MaxRows) * dim);
        var greatest = others + (Padded(work->MaxRows) * dim);
        LoadQueries(work, item, head, queries);

        AttentionChunk chunk = default;
        chunk.Queries = queries;
        chunk.Scratch = scratch;
        chunk.Cache = work->Cache + (head * work->HeadBytes);
        chunk.BlockBytes = work->Heads * work->HeadBytes;
        chunk.Blocks = work->BlockTables + item->BlockRow;
        chunk.Rows = rows;
        chunk.Group = work->Group;
        chunk.HeadDim = dim;
        chunk.FirstPosition = item->FirstPosition;
        chunk.Window = work->Window;
        if (item->Chunk >= 0)
        {
            var floats = PartialFloats(work->Group, dim);
            chunk.Sums = work->Partials + ((((long)item->Partial * work->Heads) + head) * floats);
            chunk.Greatest = chunk.Sums + (rows * dim);
            chunk.Totals = chunk.Greatest + rows;
            AttendChunk(work, &chunk, item->Chunk, low, end);
            return;
        }

        chunk.Sums = sums;
        chunk.Greatest = greatest;
        chunk.Totals = greatest + rows;
        var first = low / ChunkPositions;
        AttendChunk(work, &chunk, first, low, end);
        chunk.Sums = others;
        chunk.Greatest = greatest + (2 * rows);
        chunk.Totals = greatest + (3 * rows);
        for (var number = first + 1; number * ChunkPositions < end; number++)
        {
            AttendChunk(work, &chunk, number, low, end);
            for (var row = 0; row < rows; row++)
            {
                Merge(
                    sums + (row * dim), greatest + row, greatest + rows + row,
                    others + (row * dim), chunk.Greatest[row], chunk.Totals[row], dim);
            }
        }

        StoreOutput(work, item->FirstToken, rows, head, sums, greatest + rows);
    }

    private static void AttendChunk(AttentionWork* work, AttentionChunk* chunk, int number, int low, int end)
    {
        chunk->Begin = Math.Max(number * ChunkPositions, low / AttentionTile.Slots * AttentionTile.Slots);
        chunk->End = Math.Min((number + 1) * ChunkPositions, end);
        work->Attend(chunk);
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

    /// <summary>Adds a row of a later chunk to what the earlier ones gave.</summary>
    private static void Merge(float* sums, float* greatest, float* total, float* others, float otherGreatest, float otherTotal, int dim)
    {
        if (otherTotal == 0)
        {
            // It sees none of those positions.
            return;
        }

        var bound = MathF.Max(*greatest, otherGreatest);
        var factor = Exponential.Of(*greatest - bound);
        var otherFactor = Exponential.Of(otherGreatest - bound);
        *greatest = bound;
        *total = (*total * factor) + (otherTotal * otherFactor);
        for (var i = 0; i < dim; i += 16)
        {
            ((Vector512.Load(sums + i) * factor) + (Vector512.Load(others + i) * otherFactor)).Store(sums + i);
        }
    }

    private static void StoreOutput(AttentionWork* work, int firstToken, int rows, int head, float* sums, float* totals)
    {
        var dim = work->HeadDim;
        var columns = work->Group * work->Heads * dim;
        for (var row = 0; row < rows; row++)
        {
            var token = firstToken + (row / work->Group);
            var target = work->Output + ((long)token * columns) + ((long)((head * work->Group) + (row % work->Group)) * dim);
            var factor = Vector512.Create(1f / totals[row]);
            for (var i = 0; i < dim; i += 16)
            {
                (Vector512.Load(sums + (row * dim) + i) * factor).Store(target + i);
            }
        }
    }
}
