using System.Buffers;
using System.Globalization;
using System.Text;

namespace ModelServe.Api.Metrics;

/// <summary>Writes metric families as Prometheus text 0.0.4 or as OpenMetrics 1.0, which differ in the name of a counter's family and in the end.</summary>
/// <remarks>One page, one thread. Writes UTF-8 straight into the response's buffer.</remarks>
internal sealed class PrometheusText(IBufferWriter<byte> output, bool openMetrics)
{
    private const int NumberBytes = 32;
    private const double MostExactDigits = 1e15;

    /// <summary>Content type of the text format.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Content type of OpenMetrics.</summary>
    public const string OpenMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// <summary>Opens a family; its samples follow.</summary>
    public void Family(MetricFamily family)
    {
        string name = openMetrics && family.Kind == MetricKind.Counter && family.Name.EndsWith("_total", StringComparison.Ordinal)
            ? family.Name[..^"_total".Length]
            : family.Name;
        Write("# HELP ");
        Write(name);
        Write(" ");
        Write(family.Help);
        Write("\n# TYPE ");
        Write(name);
        Write(family.Kind switch
        {
            MetricKind.Gauge => " gauge\n",
            MetricKind.Counter => " counter\n",
            MetricKind.Histogram => " histogram\n",
            _ => throw new ArgumentOutOfRangeException(nameof(family), family.Kind, "a kind without a name"),
        });
    }

    /// <summary>One sample of the family.</summary>
    /// <param name="name">Name of the sample.</param>
    /// <param name="labels">Label pairs as they stand between the braces; every value is a name that needs no escape.</param>
    /// <param name="moreLabels">Further pairs, with a leading comma.</param>
    /// <param name="value">The value.</param>
    public void Sample(string name, string labels, string moreLabels, double value)
    {
        Write(name);
        Write("{");
        Write(labels);
        Write(moreLabels);
        Write("} ");
        Write(value);
        Write("\n");
    }

    /// <summary>All samples of one histogram.</summary>
    public void Histogram(string name, string labels, IBucketCounts histogram)
    {
        long below = 0;
        for (int i = 0; i <= histogram.Bounds.Count; i++)
        {
            below += histogram.CountIn(i);
            Write(name);
            Write("_bucket{");
            Write(labels);
            Write(",le=\"");
            if (i < histogram.Bounds.Count)
            {
                Write(histogram.Bounds[i]);
            }
            else
            {
                Write("+Inf");
            }

            Write("\"} ");
            Write(below);
            Write("\n");
        }

        Part(name, "_sum{", labels, histogram.Sum);
        Part(name, "_count{", labels, below);
    }

    /// <summary>Ends the page.</summary>
    public void End()
    {
        if (openMetrics)
        {
            Write("# EOF\n");
        }
    }

    private void Part(string name, string suffix, string labels, double value)
    {
        Write(name);
        Write(suffix);
        Write(labels);
        Write("} ");
        Write(value);
        Write("\n");
    }

    private void Write(string text)
    {
        Span<byte> space = output.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        output.Advance(Encoding.UTF8.GetBytes(text, space));
    }

    private void Write(double value)
    {
        // Nearly all values are counts, whose digits come several times sooner from an integer.
        if (value is > -MostExactDigits and < MostExactDigits && value == Math.Truncate(value))
        {
            _ = ((long)value).TryFormat(output.GetSpan(NumberBytes), out int digits, default, CultureInfo.InvariantCulture);
            output.Advance(digits);
            return;
        }

        if (!value.TryFormat(output.GetSpan(NumberBytes), out int written, "R", CultureInfo.InvariantCulture))
        {
            throw new FormatException($"a number longer than {NumberBytes} bytes");
        }

        output.Advance(written);
    }
}
