namespace ModelServe.Api.Metrics;

/// <summary>One metric of the page: its name, what it is, and where its values come from. Immutable.</summary>
/// <param name="Name">Full name on the Prometheus page, with the unit and, for a counter, _total.</param>
/// <param name="Kind">How it moves.</param>
/// <param name="Help">One line that says what it is.</param>
internal sealed record MetricFamily(string Name, MetricKind Kind, string Help)
{
    /// <summary>The label that tells the series of one model apart; null when there is one series.</summary>
    public string? Label { get; init; }

    /// <summary>The label's values; one empty value when there is no label.</summary>
    public IReadOnlyList<string> Values { get; init; } = [""];

    /// <summary>The value of one series of a model, by index into <see cref="Values"/>.</summary>
    public Func<ModelReading, int, double>? OfModel { get; init; }

    /// <summary>The value of the whole server.</summary>
    public Func<ServerReading, double>? OfServer { get; init; }

    /// <summary>The counts of a histogram of a model.</summary>
    public Func<ModelReading, IBucketCounts>? Buckets { get; init; }

    /// <summary>The counts of a histogram whose series carry labels of their own in place of the usual ones.</summary>
    public Func<ModelReading, IEnumerable<LabelledCounts>>? Labelled { get; init; }

    /// <summary>Label pairs, with a leading comma, that a sample of a model carries beside the usual ones; null for none.</summary>
    public Func<ModelReading, string>? MoreLabels { get; init; }

    /// <summary>The instrument of the server's meter: the same name with dots, without what exporters append themselves.</summary>
    public string Instrument
    {
        get
        {
            string name = Name.Replace(':', '.');
            return Kind == MetricKind.Counter && name.EndsWith("_total", StringComparison.Ordinal) ? name[..^"_total".Length] : name;
        }
    }

    /// <summary>A gauge or counter with one series a model.</summary>
    public static MetricFamily PerModel(string name, MetricKind kind, string help, Func<ModelReading, double> value) =>
        new(name, kind, help) { OfModel = (reading, _) => value(reading) };

    /// <summary>A counter with one series for each of the values of a label.</summary>
    public static MetricFamily PerValue(
        string name, string help, string label, IReadOnlyList<string> values, Func<ModelReading, int, double> value) =>
        new(name, MetricKind.Counter, help) { Label = label, Values = values, OfModel = value };

    /// <summary>A gauge or counter with one series for the server.</summary>
    public static MetricFamily PerServer(string name, MetricKind kind, string help, Func<ServerReading, double> value) =>
        new(name, kind, help) { OfServer = value };

    /// <summary>A histogram that requests fill.</summary>
    public static MetricFamily Of(ModelHistogram histogram, string name, string help) =>
        new(name, MetricKind.Histogram, help) { Buckets = reading => reading.Metrics.Of(histogram) };
}
