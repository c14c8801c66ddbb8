using ModelServe.Engine.Running;

namespace ModelServe.Api.Metrics;

/// <summary>An engine's histogram as the page shows it.</summary>
internal sealed class StepCounts(StepHistogram histogram) : IBucketCounts
{
    /// <inheritdoc/>
    public IReadOnlyList<double> Bounds => histogram.Bounds;

    /// <inheritdoc/>
    public double Sum => histogram.Sum;

    /// <inheritdoc/>
    public long CountIn(int bucket) => histogram.CountIn(bucket);
}
