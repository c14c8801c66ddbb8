using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;

namespace ModelServe.Api.Metrics;

/// <summary>The page that a Prometheus scrapes: vLLM's names, then this server's own. Thread-safe; no engine thread takes part.</summary>
/// <remarks>
/// It is written in one piece and sent with its length, so that no scrape waits for a turn on busy threads between two pieces.
/// Beginnings of lines are kept for every model that was ever shown, as its counts are.
/// </remarks>
internal sealed class MetricsPage(MetricsReader reader)
{
    private const int RoomForGrowth = 4096;

    private readonly ConcurrentDictionary<(string Name, string Labels), HistogramLines> _lines = [];
    private int _lastLength = 128 * 1024;

    /// <summary>Answers a scrape in the format that it prefers, Prometheus text unless it asks for OpenMetrics.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        bool openMetrics = context.Request.Headers.Accept.ToString().Contains("application/openmetrics-text", StringComparison.Ordinal);
        using PrometheusText text = Write(openMetrics);
        context.Response.ContentType = openMetrics ? PrometheusText.OpenMetricsContentType : PrometheusText.ContentType;
        context.Response.ContentLength = text.Written.Length;
        await context.Response.BodyWriter.WriteAsync(text.Written, context.RequestAborted);
    }

    /// <summary>Writes the page from the counts of this moment.</summary>
    private PrometheusText Write(bool openMetrics)
    {
        var text = new PrometheusText(openMetrics, Volatile.Read(ref _lastLength) + RoomForGrowth);
        IReadOnlyList<ModelReading> models = reader.ReadModels();
        ServerReading server = reader.ReadServer();
        foreach (MetricFamily family in MetricFamilies.All)
        {
            text.Family(family);
            if (family.OfServer is { } ofServer)
            {
                text.Sample(family.Name, "engine=\"0\"", string.Empty, ofServer(server));
                continue;
            }

            foreach (ModelReading reading in models)
            {
                WriteModel(text, family, reading);
            }
        }

        text.End();
        Volatile.Write(ref _lastLength, text.Written.Length);
        return text;
    }

    private void WriteModel(PrometheusText text, MetricFamily family, ModelReading reading)
    {
        if (family.Buckets is { } buckets)
        {
            WriteHistogram(text, family.Name, reading.Labels, buckets(reading));
        }
        else if (family.Labelled is { } labelled)
        {
            // Their labels know no engine: the counts are the model's, shown once.
            foreach (LabelledCounts series in reading.Replica == 0 ? labelled(reading) : [])
            {
                WriteHistogram(text, family.Name, series.Labels, series.Counts);
            }
        }
        else
        {
            for (int i = 0; i < family.Values.Count; i++)
            {
                string more = family.Label is { } label
                    ? $",{label}=\"{family.Values[i]}\""
                    : family.MoreLabels?.Invoke(reading) ?? string.Empty;
                text.Sample(family.Name, reading.Labels, more, family.OfModel!(reading, i));
            }
        }
    }

    private void WriteHistogram(PrometheusText text, string name, string labels, IBucketCounts counts) => text.Histogram(
        _lines.GetOrAdd((name, labels), static (series, bounds) => new HistogramLines(series.Name, series.Labels, bounds), counts.Bounds), counts);
}
