namespace ModelServe.Engine.Running;

/// <summary>Counts of what steps were like, by inclusive upper bound, since start. Recording allocates nothing and takes no lock.</summary>
/// <remarks>
/// Written by the engine thread alone; any thread reads, one value at a time: a reader may see an observation in its bucket
/// and not yet in the sum.
/// </remarks>
public sealed class StepHistogram
{
    private readonly double[] _bounds;
    private readonly long[] _counts;
    private double _sum;

    /// <summary>A histogram with these inclusive upper bounds, ascending, and one bucket above the last.</summary>
    internal StepHistogram(params double[] bounds)
    {
        _bounds = bounds;
        _counts = new long[bounds.Length + 1];
    }

    /// <summary>One without bounds that counts nothing.</summary>
    public static StepHistogram Empty { get; } = new();

    /// <summary>What several engines counted so far, together; bounds are those of the first.</summary>
    /// <param name="parts">At least one, all with the same bounds.</param>
    internal static StepHistogram Together(IReadOnlyList<StepHistogram> parts)
    {
        var sum = new StepHistogram(parts[0]._bounds);
        foreach (var part in parts)
        {
            for (var bucket = 0; bucket < sum._counts.Length; bucket++)
            {
                sum._counts[bucket] += part.CountIn(bucket);
            }

            sum._sum += part.Sum;
        }

        return sum;
    }

    /// <summary>The inclusive upper bounds.</summary>
    public IReadOnlyList<double> Bounds => _bounds;

    /// <summary>Sum of all observations.</summary>
    public double Sum => Volatile.Read(ref _sum);

    /// <summary>Observations in the bucket of that bound alone; the last index is the bucket above all bounds.</summary>
    public long CountIn(int bucket) => Volatile.Read(ref _counts[bucket]);

    /// <summary>Records one value. Engine thread only.</summary>
    internal void Observe(double value)
    {
        int at = Array.BinarySearch(_bounds, value);
        at = at >= 0 ? at : ~at;
        Volatile.Write(ref _counts[at], _counts[at] + 1);
        Volatile.Write(ref _sum, _sum + value);
    }
}
