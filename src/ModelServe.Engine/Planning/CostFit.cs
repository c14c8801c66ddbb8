namespace ModelServe.Engine.Planning;

/// <summary>What each of a few terms costs, by the latest of what was seen of their sums: least squares, no cost below zero.</summary>
/// <remarks>
/// Errors count relative to a scale. What has not been seen for long keeps its cost. The sums of squares are solved by descent along
/// one cost after the other, a few rounds a sight from where the last ended: that never gets worse, and keeps to costs that are
/// possible. A pure function of what it was shown. Allocates nothing after construction. Thread: one at a time.
/// </remarks>
internal sealed class CostFit
{
    private const int Rounds = 4;
    private const double Faintest = 1e-200;

    private readonly double _forgetting;
    private readonly double[] _doubts;
    private readonly int _reliefs;
    private readonly double[] _costs;
    private readonly double[] _squares;
    private readonly double[] _products;

    /// <summary>Nothing was seen.</summary>
    /// <param name="forgetting">What a sight still counts for when the next has come.</param>
    /// <param name="doubts">For each term how much dearer an error must become before it is believed to cost anything, in parts of one: of terms that always come together, the least doubtful bears the cost.</param>
    /// <param name="reliefs">So many terms from the second on take off what the first costs, and never more than that.</param>
    public CostFit(double forgetting, double[] doubts, int reliefs = 0)
    {
        (_forgetting, _doubts, _reliefs) = (forgetting, doubts, reliefs);
        _costs = new double[doubts.Length];
        _squares = new double[doubts.Length * doubts.Length];
        _products = new double[doubts.Length];
    }

    /// <summary>The expected sum.</summary>
    public double Expected(ReadOnlySpan<double> values)
    {
        var sum = 0.0;
        for (var i = 0; i < _costs.Length; i++)
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
        var terms = _costs.Length;
        for (var i = 0; i < terms; i++)
        {
            var weighted = values[i] / (scale * scale);
            _products[i] = (_products[i] * _forgetting) + (weighted * sum);
            for (var j = 0; j < terms; j++)
            {
                _squares[(i * terms) + j] = (_squares[(i * terms) + j] * _forgetting) + (weighted * values[j]);
            }
        }

        for (var round = 0; round < Rounds; round++)
        {
            Descend();
        }
    }

    /// <summary>All that was seen counts for less from now on.</summary>
    /// <param name="share">What is left of it.</param>
    public void Forget(double share)
    {
        foreach (ref var square in _squares.AsSpan())
        {
            square *= share;
        }

        foreach (ref var product in _products.AsSpan())
        {
            product *= share;
        }
    }

    // Each cost in turn becomes what is best while the others stand still.
    private void Descend()
    {
        var terms = _costs.Length;
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
                rest -= j == i ? 0 : _squares[(i * terms) + j] * _costs[j];
            }

            var cost = Math.Max(0, rest / (own * (1 + _doubts[i])));
            _costs[i] = i > 0 && i <= _reliefs ? Math.Min(cost, _costs[0]) : cost;
        }
    }
}
