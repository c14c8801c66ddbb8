namespace ModelServe.Api.Metrics;

/// <summary>What a histogram holds, for a page that shows it. Any thread.</summary>
internal interface IBucketCounts
{
    /// <summary>The inclusive upper bounds, ascending.</summary>
    IReadOnlyList<double> Bounds { get; }

    /// <summary>Sum of all observations.</summary>
    double Sum { get; }

    /// <summary>Observations in the bucket of that bound alone; the last index is the bucket above all bounds.</summary>
    long CountIn(int bucket);
}
