using System.Diagnostics.Metrics;

namespace ModelServe.Api.Metrics;

/// <summary>Counts of observations by upper bound, with their sum. Recording takes no lock and allocates nothing.</summary>
/// <remarks>
/// A reader may see an observation in its bucket and not yet in the sum: scrapes differ by what is in flight, totals converge.
/// An instrument of the server's meter gets the same observations, as long as an exporter listens to it.
/// </remarks>
internal sealed class Histogram : IBucketCounts
{
    private readonly double[] _bounds;
    private readonly long[] _counts;
    private readonly Histogram<double>? _instrument;
    private readonly KeyValuePair<string, object?>[] _tags;
    private double _sum;

    /// <summary>A histogram with these inclusive upper bounds, ascending, and one bucket above the last.</summary>
    /// <param name="bounds">The bounds.</param>
    /// <param name="instrument">What else hears of observations.</param>
    /// <param name="tags">The instrument's tags.</param>
    public Histogram(double[] bounds, Histogram<double>? instrument = null, params KeyValuePair<string, object?>[] tags)
    {
        _bounds = bounds;
        _counts = new long[bounds.Length + 1];
        _instrument = instrument;
        _tags = tags;
    }

    /// <inheritdoc/>
    public IReadOnlyList<double> Bounds => _bounds;

    /// <inheritdoc/>
    public double Sum => Volatile.Read(ref _sum);

    /// <inheritdoc/>
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
                break;
            }

            seen = before;
        }

        if (_instrument is { Enabled: true })
        {
            for (long i = 0; i < times; i++)
            {
                _instrument.Record(value, _tags);
            }
        }
    }
}
