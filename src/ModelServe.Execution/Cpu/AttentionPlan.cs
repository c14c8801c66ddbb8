using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu;

/// <summary>Divides a step's attention into items, and the items evenly among threads; made once a step, used by every layer.</summary>
/// <remarks>
/// A unit is one item for one key-value head: unit u is head <c>u % KeyValueHeads</c> of item <c>u / KeyValueHeads</c>. How a step is
/// divided never changes a result.
/// </remarks>
internal sealed unsafe class AttentionPlan : IDisposable
{
    // Rows of one unit (tokens times query heads of a group): enough to reuse what is read, few enough to stay in the cache.
    private const int UnitRows = 32;

    // What a unit costs besides its scores, in positions of one row.
    private const int UnitOverhead = 64;

    private readonly AttentionShape _shape;
    private readonly NativeBuffer _items;
    private readonly NativeBuffer _starts;
    private readonly long[] _costs;

    /// <summary>Plans for at most <paramref name="maxRows"/> tokens and that many threads.</summary>
    public AttentionPlan(AttentionShape shape, int maxRows, int threads)
    {
        _shape = shape;
        Threads = threads;
        TokensPerItem = Math.Max(1, UnitRows / (shape.QueryHeads / shape.KeyValueHeads));
        _items = new NativeBuffer((long)maxRows * sizeof(AttentionItem));
        _starts = new NativeBuffer((threads + 1) * sizeof(int));
        _costs = new long[maxRows];
    }

    /// <summary>Threads that the work is divided among.</summary>
    public int Threads { get; }

    /// <summary>Most tokens of an item.</summary>
    public int TokensPerItem { get; }

    /// <summary>The items.</summary>
    public AttentionItem* Items => (AttentionItem*)_items.Pointer;

    /// <summary>Items of this step.</summary>
    public int ItemCount { get; private set; }

    /// <summary>[thread + 1] the first unit of each thread.</summary>
    public int* Starts => (int*)_starts.Pointer;

    /// <summary>Multiplications of the step, roughly.</summary>
    public long Work { get; private set; }

    /// <summary>Plans a step.</summary>
    public void Make(StepBatch batch)
    {
        ItemCount = 0;
        var total = 0L;
        for (var sequence = 0; sequence < batch.SequenceCount; sequence++)
        {
            var end = batch.TokenStarts[sequence + 1];
            for (var token = batch.TokenStarts[sequence]; token < end; token += TokensPerItem)
            {
                var count = Math.Min(TokensPerItem, end - token);
                var position = batch.FirstPositions[sequence] + token - batch.TokenStarts[sequence];
                var seen = position + count - _shape.FirstVisible(position);
                Items[ItemCount] = new AttentionItem(token, count, position, batch.BlockRows[sequence]);
                total += _costs[ItemCount++] = ((long)count * seen) + UnitOverhead;
            }
        }

        Divide(total);
        Work = total * 2 * _shape.QueryColumns;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _items.Dispose();
        _starts.Dispose();
    }

    private void Divide(long total)
    {
        var heads = _shape.KeyValueHeads;
        var before = 0L;
        var thread = 0;
        Starts[0] = 0;
        for (var item = 0; item < ItemCount; item++)
        {
            // Boundaries that fall into this item's heads, rounded to whole heads.
            while (thread + 1 < Threads && total * heads * (thread + 1) / Threads < (before + _costs[item]) * heads)
            {
                var offset = (total * heads * (thread + 1) / Threads) - (before * heads);
                Starts[++thread] = (item * heads) + (int)((offset + (_costs[item] / 2)) / _costs[item]);
            }

            before += _costs[item];
        }

        while (thread < Threads)
        {
            Starts[++thread] = ItemCount * heads;
        }
    }
}
