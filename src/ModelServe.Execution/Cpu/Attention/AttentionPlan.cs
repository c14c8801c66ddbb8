using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Divides a step's attention into items, and the items into shares for threads; made once a step, used by every layer.</summary>
/// <remarks>
/// Where threads have rows of their own in the products (<see cref="PanelCut"/>), each has the attention of those rows, and who is done first
/// takes from the others; otherwise shares are even.
/// A unit is one item for one key-value head: unit u is head <c>u % KeyValueHeads</c> of item <c>u / KeyValueHeads</c>. Where a step
/// has so few sequences and heads that threads would stand idle, the chunks of a decoding token's context are items of their own.
/// How a step is divided never changes a result.
/// </remarks>
internal sealed unsafe class AttentionPlan : IDisposable
{
    // Rows of one unit (tokens times query heads of a group): enough to reuse what is read, few enough to stay in the cache.
    private const int UnitRows = 32;

    // What a unit costs besides its scores, in positions of one row.
    private const int UnitOverhead = 64;

    // So many for each thread keep all of them busy to the end.
    private const int UnitsPerThread = 4;

    // Multiplications below which a step's attention stays on one thread.
    private const long ParallelProducts = 1 << 19;

    private readonly AttentionShape _shape;
    private readonly NativeBuffer _items;
    private readonly NativeBuffer _starts;
    private readonly AttentionSplit[] _splits;
    private readonly int _threads;
    private readonly long[] _costs;

    /// <summary>Plans for at most <paramref name="maxRows"/> tokens, contexts of that many positions, and that many threads.</summary>
    public AttentionPlan(AttentionShape shape, int maxRows, int maxContext, int threads)
    {
        _shape = shape;
        _threads = threads;
        TokensPerItem = Math.Max(1, UnitRows / (shape.QueryHeads / shape.KeyValueHeads));
        _splits = new AttentionSplit[threads == 1 ? 0 : Math.Min(maxRows, ((threads * UnitsPerThread) - 1) / shape.KeyValueHeads)];
        MaxPartials = _splits.Length * ((maxContext / AttentionWork.ChunkPositions) + 1);
        _items = new NativeBuffer((long)(maxRows + MaxPartials) * sizeof(AttentionItem));
        _starts = new NativeBuffer((threads + 1) * sizeof(int));
        _costs = new long[maxRows + MaxPartials];
    }

    /// <summary>Most chunks that are items of their own.</summary>
    public int MaxPartials { get; }

    /// <summary>Most tokens of an item.</summary>
    public int TokensPerItem { get; }

    /// <summary>The items.</summary>
    public AttentionItem* Items => (AttentionItem*)_items.Pointer;

    /// <summary>Items of this step.</summary>
    public int ItemCount { get; private set; }

    /// <summary>Tokens of this step whose chunks are items of their own.</summary>
    public ReadOnlySpan<AttentionSplit> Splits => _splits.AsSpan(0, SplitCount);

    /// <summary>Units of this step.</summary>
    public int Units => ItemCount * _shape.KeyValueHeads;

    /// <summary>Shares of this step; 1 where it is too small to be shared.</summary>
    public int Shares { get; private set; }

    /// <summary>[share + 1] the first unit of each share.</summary>
    public int* Starts => (int*)_starts.Pointer;

    private int SplitCount { get; set; }

    /// <summary>Plans a step.</summary>
    public void Make(StepBatch batch)
    {
        ItemCount = 0;
        SplitCount = 0;
        var partials = 0;
        var total = 0L;
        var divides = batch.SequenceCount <= _splits.Length;
        for (var sequence = 0; sequence < batch.SequenceCount; sequence++)
        {
            var start = batch.TokenStarts[sequence];
            var end = batch.TokenStarts[sequence + 1];
            if (divides && end - start == 1)
            {
                var position = batch.FirstPositions[sequence];
                var first = _shape.FirstVisible(position) / AttentionWork.ChunkPositions;
                var last = position / AttentionWork.ChunkPositions;
                if (last > first)
                {
                    _splits[SplitCount++] = new AttentionSplit(start, partials, last - first + 1);
                    for (var chunk = first; chunk <= last; chunk++)
                    {
                        total += Add(
                            new AttentionItem(start, 1, position, batch.BlockRows[sequence], chunk, partials++),
                            Math.Min(AttentionWork.ChunkPositions, position + 1 - (chunk * AttentionWork.ChunkPositions)));
                    }

                    continue;
                }
            }

            for (var token = start; token < end; token += TokensPerItem)
            {
                var count = Math.Min(TokensPerItem, end - token);
                var position = batch.FirstPositions[sequence] + token - start;
                total += Add(
                    new AttentionItem(token, count, position, batch.BlockRows[sequence], -1, 0),
                    (long)count * (position + count - _shape.FirstVisible(position)));
            }
        }

        var products = total * 2 * _shape.QueryColumns;
        Shares = products < ParallelProducts ? 1 : Math.Min(_threads, Units);
        if (Shares == _threads && PanelCut.RowShares(batch.TokenCount, _threads) > 1)
        {
            DivideByRows(batch.TokenCount);
        }
        else
        {
            DivideEvenly(total);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _items.Dispose();
        _starts.Dispose();
    }

    private long Add(AttentionItem item, long scores)
    {
        Items[ItemCount] = item;
        return _costs[ItemCount++] = scores + UnitOverhead;
    }

    private void DivideByRows(int rows)
    {
        var share = 0;
        for (var item = 0; item < ItemCount; item++)
        {
            while (share < Shares && Items[item].FirstToken >= PartShares.First(rows, share, Shares))
            {
                Starts[share++] = item * _shape.KeyValueHeads;
            }
        }

        while (share <= Shares)
        {
            Starts[share++] = Units;
        }
    }

    private void DivideEvenly(long total)
    {
        var heads = _shape.KeyValueHeads;
        var before = 0L;
        var share = 0;
        Starts[0] = 0;
        for (var item = 0; item < ItemCount; item++)
        {
            // Boundaries that fall into this item's heads, rounded to whole heads.
            while (share + 1 < Shares && total * heads * (share + 1) / Shares < (before + _costs[item]) * heads)
            {
                var offset = (total * heads * (share + 1) / Shares) - (before * heads);
                Starts[++share] = (item * heads) + (int)((offset + (_costs[item] / 2)) / _costs[item]);
            }

            before += _costs[item];
        }

        while (share < Shares)
        {
            Starts[++share] = Units;
        }
    }
}
