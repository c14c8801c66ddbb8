using System.Buffers;
using System.Globalization;
using System.Text;

namespace ModelServe.Api.Metrics;

/// <summary>Writes metric families as Prometheus text 0.0.4 or as OpenMetrics 1.0, which differ in the name of a counter's family and in the end.</summary>
/// <remarks>One page, one thread. The page lies in one piece of rented memory until it is disposed.</remarks>
internal sealed class PrometheusText : IDisposable
{
    private const int NumberBytes = 32;
    private const double MostExactDigits = 1e15;

    private readonly bool _openMetrics;
    private byte[] _page;
    private int _length;

    /// <summary>An empty page.</summary>
    /// <param name="openMetrics">Whether it is OpenMetrics.</param>
    /// <param name="expectedBytes">How long it may become without being moved.</param>
    public PrometheusText(bool openMetrics, int expectedBytes)
    {
        _openMetrics = openMetrics;
        _page = ArrayPool<byte>.Shared.Rent(expectedBytes);
    }

    /// <summary>Content type of the text format.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Content type of OpenMetrics.</summary>
    public const string OpenMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// <summary>The page so far, UTF-8; valid until the next call.</summary>
    public ReadOnlyMemory<byte> Written => _page.AsMemory(0, _length);

    /// <summary>Opens a family; its samples follow.</summary>
    public void Family(MetricFamily family)
    {
        string name = _openMetrics && family.Kind == MetricKind.Counter && family.Name.EndsWith("_total", StringComparison.Ordinal)
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
        WriteLine([], value);
    }

    /// <summary>All samples of one histogram.</summary>
    public void Histogram(HistogramLines lines, IBucketCounts histogram)
    {
        int buckets = histogram.Bounds.Count;
        long below = 0;
        for (int i = 0; i <= buckets; i++)
        {
            below += histogram.CountIn(i);
            WriteLine(lines.Bucket(i), below);
        }

        WriteLine(lines.Sum, histogram.Sum);
        WriteLine(lines.Count, below);
    }

    /// <summary>Ends the page.</summary>
    public void End()
    {
        if (_openMetrics)
        {
            Write("# EOF\n");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_page);
        _page = [];
        _length = 0;
    }

    private void Write(string text)
    {
        Span<byte> space = Space(Encoding.UTF8.GetMaxByteCount(text.Length));
        _length += Encoding.UTF8.GetBytes(text, space);
    }

    private void WriteLine(ReadOnlySpan<byte> start, double value)
    {
        Span<byte> space = Space(start.Length + NumberBytes + 1);
        start.CopyTo(space);
        Span<byte> number = space[start.Length..];
        // Nearly all values are counts, whose digits come several times sooner from an integer.
        bool fits = value is > -MostExactDigits and < MostExactDigits && value == Math.Truncate(value)
            ? ((long)value).TryFormat(number, out int digits, default, CultureInfo.InvariantCulture)
            : value.TryFormat(number, out digits, "R", CultureInfo.InvariantCulture);
        if (!fits)
        {
            throw new FormatException($"a number longer than {NumberBytes} bytes");
        }

        number[digits] = (byte)'\n';
        _length += start.Length + digits + 1;
    }

    private Span<byte> Space(int bytes)
    {
        if (_page.Length - _length < bytes)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_page.Length * 2, _length + bytes));
            _page.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_page);
            _page = larger;
        }

        return _page.AsSpan(_length);
    }
}
