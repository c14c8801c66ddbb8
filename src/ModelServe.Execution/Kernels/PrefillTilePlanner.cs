namespace ModelServe.Execution.Kernels;

/// <summary>Cuts the new tokens of a step into query tiles of the prefill kernel, those with the longest contexts first.</summary>
/// <remarks>A pure function of its input; arrays of fixed size, filled again for every step without allocation.</remarks>
internal sealed class PrefillTilePlanner
{
    private readonly int _tileTokens;
    private readonly long[] _order;

    /// <summary>Makes a planner for steps of at most that many rows and tokens.</summary>
    /// <param name="tileTokens">Query tokens of a tile, as the library says for the model's heads.</param>
    /// <param name="maxRows">Most rows of a step.</param>
    /// <param name="maxTokens">Most tokens of a step.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive.</exception>
    public PrefillTilePlanner(int tileTokens, int maxRows, int maxTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(tileTokens);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxRows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxTokens);
        _tileTokens = tileTokens;
        MaxTiles = maxRows + (maxTokens / tileTokens);
        Rows = new int[MaxTiles];
        Starts = new int[MaxTiles];
        _order = new long[MaxTiles];
    }

    /// <summary>Most tiles any step of this planner can have.</summary>
    public int MaxTiles { get; }

    /// <summary>Tiles of the planned step.</summary>
    public int Count { get; private set; }

    /// <summary>[tile] its row.</summary>
    public int[] Rows { get; }

    /// <summary>[tile] its first query token, counted from the row's first.</summary>
    public int[] Starts { get; }

    /// <summary>Plans one step.</summary>
    /// <param name="tokenStarts">[row + 1] where each row's new tokens start.</param>
    /// <param name="firstPositions">[row] tokens of the row that are in the cache already.</param>
    /// <exception cref="ArgumentException">More rows or tokens than the planner was made for.</exception>
    public void Plan(ReadOnlySpan<int> tokenStarts, ReadOnlySpan<int> firstPositions)
    {
        Count = 0;
        for (var row = 0; row < firstPositions.Length; row++)
        {
            var tokens = tokenStarts[row + 1] - tokenStarts[row];
            for (var start = 0; start < tokens; start += _tileTokens)
            {
                if (Count == MaxTiles)
                {
                    throw new ArgumentException($"tiles must be at most {MaxTiles}", nameof(tokenStarts));
                }

                Rows[Count] = row;
                Starts[Count] = start;

                // Causal: a tile reads the keys up to its last token. The place breaks ties.
                var keys = firstPositions[row] + Math.Min(tokens, start + _tileTokens);
                _order[Count] = ((long)-keys << 32) | (uint)Count;
                Count++;
            }
        }

        Array.Sort(_order, Rows, 0, Count);
        RepeatOrder(firstPositions, tokenStarts);
    }

    /// <summary>The sort moved rows only; a row's tiles come last first, so its starts follow from how many came before.</summary>
    private void RepeatOrder(ReadOnlySpan<int> firstPositions, ReadOnlySpan<int> tokenStarts)
    {
        for (var i = 0; i < Count; i++)
        {
            var row = Rows[i];
            var keys = (int)-(_order[i] >> 32);
            var end = keys - firstPositions[row];
            var tokens = tokenStarts[row + 1] - tokenStarts[row];
            var length = end == tokens && tokens % _tileTokens != 0 ? tokens % _tileTokens : _tileTokens;
            Starts[i] = end - length;
        }
    }
}
