namespace ModelServe.Execution.Kernels;

/// <summary>Cuts the contexts of a decode step into work items of about equal length, so that every multiprocessor has some.</summary>
/// <remarks>
/// An item is (row, chunk): keys [chunk · ChunkTokens, (chunk + 1) · ChunkTokens) of that row that its window reaches. The arrays
/// have fixed sizes and are filled again for every step, without allocation; they go to the device as they are. A pure function
/// of its input. Plan after FlashInfer's split of planning from running.
/// </remarks>
internal sealed class DecodeWorkPlanner
{
    /// <summary>Tokens of a chunk in deterministic mode, where a row's split must not depend on its batch.</summary>
    public const int DeterministicChunk = 512;

    /// <summary>The shortest chunk: one tile of the kernel.</summary>
    public const int ShortestChunk = 64;

    private const int BlocksPerMultiprocessor = 2;
    private const int WavesWhenManyRows = 4;

    private readonly int _kvHeads;
    private readonly int _multiprocessors;
    private readonly bool _deterministic;
    private readonly long[] _order;
    private readonly long[] _items;

    /// <summary>Makes a planner for at most that many rows, each at most <paramref name="maxContext"/> tokens long.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive.</exception>
    public DecodeWorkPlanner(int maxRows, int maxContext, int kvHeads, int multiprocessors, bool deterministic)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxRows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxContext);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(kvHeads);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(multiprocessors);
        _kvHeads = kvHeads;
        _multiprocessors = multiprocessors;
        _deterministic = deterministic;
        MaxItems = Bound(maxRows, maxContext);
        Rows = new int[MaxItems];
        Chunks = new int[MaxItems];
        _order = new long[MaxItems];
        _items = new long[MaxItems];
        RowStarts = new int[maxRows + 1];
    }

    /// <summary>Most items any step of this planner can have: the launch bound of a captured graph.</summary>
    public int MaxItems { get; }

    /// <summary>Items of the planned step.</summary>
    public int Count { get; private set; }

    /// <summary>Tokens of a chunk in the planned step; a multiple of 64.</summary>
    public int ChunkTokens { get; private set; } = ShortestChunk;

    /// <summary>[item] its row; longest items first.</summary>
    public int[] Rows { get; }

    /// <summary>[item] its chunk.</summary>
    public int[] Chunks { get; }

    /// <summary>[row + 1] where the row's partial results start; its chunks take consecutive places from the first visible one.</summary>
    public int[] RowStarts { get; }

    /// <summary>Plans one step.</summary>
    /// <param name="contexts">[row] keys of each row, its new token's own included; at least 1.</param>
    /// <param name="window">0, or how many last keys a row sees.</param>
    /// <exception cref="ArgumentException">More rows or tokens than the planner was made for.</exception>
    public void Plan(ReadOnlySpan<int> contexts, int window)
    {
        if (contexts.Length >= RowStarts.Length)
        {
            throw new ArgumentException($"rows must be at most {RowStarts.Length - 1}, are {contexts.Length}", nameof(contexts));
        }

        ChunkTokens = ChooseChunk(contexts, window);
        Count = 0;
        RowStarts[0] = 0;
        for (var row = 0; row < contexts.Length; row++)
        {
            AddRow(row, contexts[row], window);
            RowStarts[row + 1] = Count;
        }

        // A graph's padded rows own nothing.
        RowStarts.AsSpan(contexts.Length + 1).Fill(Count);
        LongestFirst(contexts, window);
    }

    private static int FirstVisible(int context, int window) => window > 0 ? Math.Max(0, context - window) : 0;

    private static int ChunkCount(int context, int window, int chunk)
    {
        var first = FirstVisible(context, window) / chunk;
        return Math.Max(1, ((context + chunk - 1) / chunk) - first);
    }

    private int ChooseChunk(ReadOnlySpan<int> contexts, int window)
    {
        if (_deterministic)
        {
            return DeterministicChunk;
        }

        var limit = ItemLimit(contexts.Length);
        var chunk = ShortestChunk;
        while (true)
        {
            long items = 0;
            foreach (var context in contexts)
            {
                items += ChunkCount(context, window, chunk);
            }

            // With one item a row there is nothing left to merge.
            if (items <= limit || items == contexts.Length)
            {
                return chunk;
            }

            chunk *= 2;
        }
    }

    /// <summary>Items that fill the device for that many rows.</summary>
    private int ItemLimit(int rows)
    {
        var blocks = BlocksPerMultiprocessor * _multiprocessors;
        var waves = rows * _kvHeads < blocks ? 1 : WavesWhenManyRows;
        return Math.Max(1, blocks * waves / _kvHeads);
    }

    /// <summary>Most items of any step: the limit, or one a row, or the fixed chunks of deterministic mode.</summary>
    private int Bound(int maxRows, int maxContext)
    {
        if (_deterministic)
        {
            // A window may touch one chunk more than its length fills, but never more than the context has.
            return checked(maxRows * ((maxContext + DeterministicChunk - 1) / DeterministicChunk));
        }

        return Math.Max(maxRows, BlocksPerMultiprocessor * _multiprocessors * WavesWhenManyRows / _kvHeads);
    }

    private void AddRow(int row, int context, int window)
    {
        var first = FirstVisible(context, window) / ChunkTokens;
        var count = ChunkCount(context, window, ChunkTokens);
        if (Count + count > MaxItems)
        {
            throw new ArgumentException($"a context of {context} tokens exceeds what the planner was made for", nameof(context));
        }

        for (var i = 0; i < count; i++)
        {
            Rows[Count] = row;
            Chunks[Count] = first + i;
            Count++;
        }
    }

    /// <summary>The device starts items in order, so the long ones go first and the short ones fill the gaps.</summary>
    private void LongestFirst(ReadOnlySpan<int> contexts, int window)
    {
        for (var i = 0; i < Count; i++)
        {
            var start = Math.Max(Chunks[i] * ChunkTokens, FirstVisible(contexts[Rows[i]], window));
            var end = Math.Min((Chunks[i] + 1) * ChunkTokens, contexts[Rows[i]]);

            // The place breaks ties, so that a plan is reproducible.
            _order[i] = ((long)(start - end) << 32) | (uint)i;
            _items[i] = ((long)Rows[i] << 32) | (uint)Chunks[i];
        }

        Array.Sort(_order, _items, 0, Count);
        for (var i = 0; i < Count; i++)
        {
            Rows[i] = (int)(_items[i] >> 32);
            Chunks[i] = (int)_items[i];
        }
    }
}
