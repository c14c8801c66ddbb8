namespace ModelServe.Api.Metrics;

/// <summary>Several histograms with the same bounds, shown as one.</summary>
/// <param name="parts">At least one.</param>
internal sealed class SummedCounts(IReadOnlyList<IBucketCounts> parts) : IBucketCounts
{
    /// <inheritdoc/>
    public IReadOnlyList<double> Bounds => parts[0].Bounds;

    /// <inheritdoc/>
    public double Sum => parts.Sum(part => part.Sum);

    /// <inheritdoc/>
    public long CountIn(int bucket) => parts.Sum(part => part.CountIn(bucket));
}
