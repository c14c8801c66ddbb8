namespace ModelServe.Api.Metrics;

/// <summary>One series of a histogram that carries labels of its own.</summary>
/// <param name="Labels">Label pairs as they stand between the braces.</param>
/// <param name="Counts">The counts.</param>
internal sealed record LabelledCounts(string Labels, IBucketCounts Counts);
