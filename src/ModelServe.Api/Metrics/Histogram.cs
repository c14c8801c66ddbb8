namespace ModelServe.Api.Metrics;

/// <summary>Counts of observations by upper bound, with their sum. Recording takes no lock and allocates nothing.</summary>
/// <remarks>
/// A reader may see an observation in its bucket and not yet in the sum: scrapes differ by what is in flight, totals converge.
/// </remarks>
internal sealed class Histogram
{
    private readonly double[] _bounds;
    private readonly long[] _counts;
    private double _sum;

    /// <summary>A histogram with these inclusive upper bounds, ascending, and one bucket above the last.</summary>
    public Histogram(double[] bounds)
    {
        _bounds = bounds;
        _counts = new long[bounds.Length + 1];
    }

    /// <summary>The inclusive upper bounds.</summary>
    public IReadOnlyList<double> Bounds => _bounds;

    /// <summary>Sum of all observations.</summary>
    public double Sum => Volatile.Read(ref _sum);

    /// <summary>Observations in the bucket of that bound alone; the last index is the bucket above all bounds.</summary>
    public long CountIn(int bucket) => Volatile.Read(ref _counts[bucket]);

    /// <summary>Records a value that was seen that many times. Any thread.</summary>
    public void Observe(double value, long times = 1)
    {
        int at = Array.BinarySearch(_bounds, value);
        Interlocked.Add(ref _counts[at >= 0 ? at : ~at], times);
        double added = value * times;
        double seen = Volatile.Read(ref _sum);
        while (true)
        {
            double before = Interlocked.CompareExchange(ref _sum, seen + added, seen);
            if (before.Equals(seen))
            {
                return;
            }

            seen = before;
        }
    }
}
