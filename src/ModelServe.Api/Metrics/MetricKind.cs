namespace ModelServe.Api.Metrics;

/// <summary>How a metric moves.</summary>
internal enum MetricKind
{
    /// <summary>Up and down.</summary>
    Gauge,

    /// <summary>Only up, from 0 at start.</summary>
    Counter,

    /// <summary>Counts by upper bound.</summary>
    Histogram,
}
