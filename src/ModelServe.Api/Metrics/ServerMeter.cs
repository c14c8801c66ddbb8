using System.Diagnostics.Metrics;
using System.Globalization;

namespace ModelServe.Api.Metrics;

/// <summary>The server's <see cref="Meter"/>: what the Prometheus page shows, for any exporter that listens. Costs nothing while none does.</summary>
/// <remarks>
/// Counters and gauges are observed when an exporter collects; histograms are recorded as they happen, with the page's bounds as
/// advice. Instruments are named as on the page, with a dot for the colon and without _total.
/// </remarks>
internal sealed class ServerMeter
{
    /// <summary>Name of the meter.</summary>
    public const string Name = "ModelServe";

    private readonly Meter _meter;
    private readonly Dictionary<ModelHistogram, Histogram<double>> _histograms = [];

    /// <summary>The meter with its histograms.</summary>
    public ServerMeter(IMeterFactory factory)
    {
        // The factory owns what it makes.
        _meter = factory.Create(new MeterOptions(Name) { Version = SoftwareVersion.Version });
        foreach ((ModelHistogram histogram, MetricFamily family) in MetricFamilies.RequestHistograms)
        {
            _histograms[histogram] = Make(family.Instrument, Unit(family.Name), family.Help, MetricFamilies.BoundsOf(histogram));
        }

        GenAiDuration = Make("gen_ai.server.request.duration", "s", "From acceptance to the end.", MetricBuckets.GenAiDuration);
        GenAiFirstToken = Make(
            "gen_ai.server.time_to_first_token", "s", "From acceptance to the first token.", MetricBuckets.GenAiFirstToken);
        GenAiOutputToken = Make(
            "gen_ai.server.time_per_output_token", "s", "Mean time a token after the first.", MetricBuckets.GenAiOutputToken);
    }

    /// <summary>gen_ai.server.request.duration.</summary>
    public Histogram<double> GenAiDuration { get; }

    /// <summary>gen_ai.server.time_to_first_token.</summary>
    public Histogram<double> GenAiFirstToken { get; }

    /// <summary>gen_ai.server.time_per_output_token.</summary>
    public Histogram<double> GenAiOutputToken { get; }

    /// <summary>The instrument of a histogram that requests fill.</summary>
    public Histogram<double> Of(ModelHistogram histogram) => _histograms[histogram];

    /// <summary>Makes the observed instruments over a reader; once.</summary>
    public void Observe(MetricsReader reader)
    {
        foreach (MetricFamily family in MetricFamilies.All.Where(family => family.Kind != MetricKind.Histogram))
        {
            IEnumerable<Measurement<double>> Values() => Measure(family, reader);
            if (family.Kind == MetricKind.Counter)
            {
                _meter.CreateObservableCounter(family.Instrument, Values, Unit(family.Name), family.Help);
            }
            else
            {
                _meter.CreateObservableGauge(family.Instrument, Values, Unit(family.Name), family.Help);
            }
        }
    }

    private static IEnumerable<Measurement<double>> Measure(MetricFamily family, MetricsReader reader)
    {
        if (family.OfServer is { } ofServer)
        {
            yield return new Measurement<double>(ofServer(reader.ReadServer()));
            yield break;
        }

        foreach (ModelReading reading in reader.ReadModels())
        {
            for (int i = 0; i < family.Values.Count; i++)
            {
                KeyValuePair<string, object?> model = new("model_name", reading.Model.Name);
                KeyValuePair<string, object?> engine = new("engine", reading.Replica.ToString(CultureInfo.InvariantCulture));
                double value = family.OfModel!(reading, i);
                yield return family.Label is { } label
                    ? new Measurement<double>(value, model, engine, new KeyValuePair<string, object?>(label, family.Values[i]))
                    : new Measurement<double>(value, model, engine);
            }
        }
    }

    private static string? Unit(string name) =>
        name.Contains("seconds", StringComparison.Ordinal) ? "s" : name.Contains("bytes", StringComparison.Ordinal) ? "By" : null;

    private Histogram<double> Make(string name, string? unit, string help, double[] bounds) => _meter.CreateHistogram(
        name, unit, help, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
}
