using System.Globalization;
using System.Text;

namespace ModelServe.Api.Metrics;

/// <summary>Writes metric families in the Prometheus text format, version 0.0.4.</summary>
internal sealed class PrometheusText
{
    /// <summary>Content type of the format.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();

    /// <summary>Opens a family; its samples follow.</summary>
    /// <param name="name">Full name, with the unit and, for a counter, _total.</param>
    /// <param name="type">gauge, counter or histogram.</param>
    /// <param name="help">One line that says what it is.</param>
    public void Family(string name, string type, string help) =>
        _text.Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n')
            .Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    /// <summary>One sample of the family.</summary>
    /// <param name="name">Name of the sample.</param>
    /// <param name="labels">Label pairs as they stand between the braces; every value is a name that needs no escape.</param>
    /// <param name="value">The value.</param>
    public void Sample(string name, string labels, double value) =>
        _text.Append(name).Append('{').Append(labels).Append("} ")
            .Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');

    /// <summary>All samples of one histogram.</summary>
    public void Histogram(string name, string labels, Histogram histogram)
    {
        long below = 0;
        for (int i = 0; i < histogram.Bounds.Count; i++)
        {
            below += histogram.CountIn(i);
            string bound = histogram.Bounds[i].ToString("R", CultureInfo.InvariantCulture);
            Sample($"{name}_bucket", $"{labels},le=\"{bound}\"", below);
        }

        below += histogram.CountIn(histogram.Bounds.Count);
        Sample($"{name}_bucket", $"{labels},le=\"+Inf\"", below);
        Sample($"{name}_sum", labels, histogram.Sum);
        Sample($"{name}_count", labels, below);
    }

    /// <summary>What was written.</summary>
    public override string ToString() => _text.ToString();
}
