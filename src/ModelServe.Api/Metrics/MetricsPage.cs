using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace ModelServe.Api.Metrics;

/// <summary>The page that a Prometheus scrapes: vLLM's names, then this server's own. Thread-safe; no engine thread takes part.</summary>
internal sealed class MetricsPage(MetricsReader reader)
{
    /// <summary>Answers a scrape in the format that it prefers, Prometheus text unless it asks for OpenMetrics.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        bool openMetrics = context.Request.Headers.Accept.ToString().Contains("application/openmetrics-text", StringComparison.Ordinal);
        context.Response.ContentType = openMetrics ? PrometheusText.OpenMetricsContentType : PrometheusText.ContentType;
        Write(context.Response.BodyWriter, openMetrics);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Writes the page from the counts of this moment.</summary>
    public void Write(IBufferWriter<byte> output, bool openMetrics)
    {
        var text = new PrometheusText(output, openMetrics);
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
    }

    private static void WriteModel(PrometheusText text, MetricFamily family, ModelReading reading)
    {
        if (family.Buckets is { } buckets)
        {
            text.Histogram(family.Name, reading.Labels, buckets(reading));
        }
        else if (family.Labelled is { } labelled)
        {
            // Their labels know no engine: the counts are the model's, shown once.
            foreach (LabelledCounts series in reading.Replica == 0 ? labelled(reading) : [])
            {
                text.Histogram(family.Name, series.Labels, series.Counts);
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
}
