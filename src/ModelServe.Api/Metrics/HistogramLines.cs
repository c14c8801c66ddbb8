using System.Globalization;
using System.Text;

namespace ModelServe.Api.Metrics;

/// <summary>What the lines of one series of a histogram begin with: everything but the numbers. Immutable.</summary>
/// <remarks>Nine tenths of a page are such lines, and only their numbers change from one scrape to the next.</remarks>
internal sealed class HistogramLines
{
    private readonly byte[][] _buckets;

    /// <summary>The lines of a series.</summary>
    /// <param name="name">Name of the family.</param>
    /// <param name="labels">Its label pairs as they stand between the braces; every value is a name that needs no escape.</param>
    /// <param name="bounds">The inclusive upper bounds of its buckets; one above them all follows.</param>
    public HistogramLines(string name, string labels, IReadOnlyList<double> bounds)
    {
        _buckets =
        [
            .. bounds.Select(bound => bound.ToString("R", CultureInfo.InvariantCulture)).Append("+Inf")
                .Select(bound => Encoding.UTF8.GetBytes($"{name}_bucket{{{labels},le=\"{bound}\"}} ")),
        ];
        Sum = Encoding.UTF8.GetBytes($"{name}_sum{{{labels}}} ");
        Count = Encoding.UTF8.GetBytes($"{name}_count{{{labels}}} ");
    }

    /// <summary>Before the sum.</summary>
    public byte[] Sum { get; }

    /// <summary>Before the count of all.</summary>
    public byte[] Count { get; }

    /// <summary>Before the count of a bucket and those below it.</summary>
    public byte[] Bucket(int bucket) => _buckets[bucket];
}
