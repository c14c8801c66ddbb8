namespace ModelServe.Engine.Planning;

/// <summary>What each of a few terms costs, by the latest of what was seen of their sums: least squares, no cost below zero.</summary>
/// <remarks>
/// Errors count relative to a scale. What has not been seen for long keeps its cost. The sums of squares are solved by descent along
/// one cost after the other, a few rounds a sight from where the last ended: that never gets worse, and keeps to costs that are
/// possible. A pure function of what it was shown. Allocates nothing after construction. Thread: one at a time.
/// </remarks>
/// <param name="terms">How many.</param>
/// <param name="forgetting">What a sight still counts for when the next has come.</param>
internal sealed class CostFit(int terms, double forgetting)
{
    private const int Rounds = 4;
    private const double Faintest = 1e-200;

    private readonly double[] _costs = new double[terms];
    private readonly double[] _squares = new double[terms * terms];
    private readonly double[] _products = new double[terms];

    /// <summary>The expected sum; never less than that of smaller terms.</summary>
    public double Expected(ReadOnlySpan<double> values)
    {
        var sum = 0.0;
        for (var i = 0; i < terms; i++)
        {
            sum += _costs[i] * values[i];
        }

        return sum;
    }

    /// <summary>Learns from one sum.</summary>
    /// <param name="values">Its terms.</param>
    /// <param name="sum">What they came to.</param>
    /// <param name="scale">What an error of it is measured by, above zero.</param>
    public void Observe(ReadOnlySpan<double> values, double sum, double scale)
    {
        for (var i = 0; i < terms; i++)
        {
            var weighted = values[i] / (scale * scale);
            _products[i] = (_products[i] * forgetting) + (weighted * sum);
            for (var j = 0; j < terms; j++)
            {
                _squares[(i * terms) + j] = (_squares[(i * terms) + j] * forgetting) + (weighted * values[j]);
            }
        }

        for (var round = 0; round < Rounds; round++)
        {
            Descend();
        }
    }

    // Each cost in turn becomes what is best while the others stand still.
    private void Descend()
    {
        for (var i = 0; i < terms; i++)
        {
            var own = _squares[(i * terms) + i];
            // A term that was not there for hundreds of sights has faded to nothing that could be divided by.
            if (own < Faintest)
            {
                continue;
            }

            var rest = _products[i];
            for (var j = 0; j < terms; j++)
            {
                rest -= _squares[(i * terms) + j] * _costs[j];
            }

            _costs[i] = Math.Max(0, _costs[i] + (rest / own));
        }
    }
}
