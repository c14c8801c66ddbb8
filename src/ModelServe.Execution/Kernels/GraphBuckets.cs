namespace ModelServe.Execution.Kernels;

/// <summary>The batch sizes for which decode graphs are captured; a step runs in the smallest that holds it.</summary>
/// <remarks>Fine steps where a padded row costs most, coarse ones where graphs would only cost memory. Never more than an
/// eighth of a large batch is padding.</remarks>
internal static class GraphBuckets
{
    private const int Fine = 4;
    private const int FineEnd = 16;
    private const int Middle = 8;
    private const int MiddleEnd = 128;
    private const int Coarse = 16;
    private const int CoarseEnd = 256;
    private const int Widest = 64;

    /// <summary>The bucket of a batch of at least one row.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are no rows.</exception>
    public static int For(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        return rows switch
        {
            <= 2 => rows,
            <= FineEnd => RoundUp(rows, Fine),
            <= MiddleEnd => RoundUp(rows, Middle),
            <= CoarseEnd => RoundUp(rows, Coarse),
            _ => RoundUp(rows, Widest),
        };
    }

    /// <summary>Every bucket up to the one that holds <paramref name="maxRows"/>, ascending.</summary>
    public static IEnumerable<int> UpTo(int maxRows)
    {
        for (var rows = 1; rows <= maxRows;)
        {
            var bucket = For(rows);
            yield return bucket;
            rows = bucket + 1;
        }
    }

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;
}
