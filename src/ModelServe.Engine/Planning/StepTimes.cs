namespace ModelServe.Engine.Planning;

/// <summary>What a step takes by its shape, learnt from the steps that ran: least squares over the latest of them, a few terms, no cost below zero.</summary>
/// <remarks>
/// A step costs a fixed part (weights that are read once), a part for each row that bends where a device stops being bound by
/// memory, one for each token chosen, and two for the positions looked at. Errors count relative to what was expected, and one step
/// that was held up by something else counts only as a quarter longer; nothing makes a step shorter than it is. What no step has shown for long keeps its cost. The sums
/// of squares are solved by descent along one cost after the other, a few rounds a step from where the last step ended: that
/// never gets worse, and keeps to costs that are possible. A pure function of what it was shown. Allocates nothing after
/// construction. Thread: engine thread only.
/// </remarks>
internal sealed class StepTimes
{
    private const int Terms = 8;
    private const int Rounds = 4;
    private const double Forgetting = 0.97;
    private const double SurprisinglyLong = 1.25;
    private const double SurprisinglyShort = 0.5;
    private const int FirstBend = 8;
    private const int SecondBend = 16;
    private const int ThirdBend = 32;
    private const double AttendedUnit = 256;
    private const double PairUnit = 4096;
    private const int StepsToKnow = 3;
    private const double Faintest = 1e-200;

    private readonly double[] _costs = new double[Terms];
    private readonly double[] _squares = new double[Terms * Terms];
    private readonly double[] _products = new double[Terms];
    private readonly double[] _terms = new double[Terms];
    private int _plainSteps;
    private int _promptSteps;

    /// <summary>Whether steps with and steps without prompt tokens have been seen, a few of each.</summary>
    public bool IsKnown => _plainSteps >= StepsToKnow && _promptSteps >= StepsToKnow;

    /// <summary>Most prompt tokens that a step seen has fed.</summary>
    public int MostPromptTokens { get; private set; }

    /// <summary>What a step of that shape is expected to take, in milliseconds; never less than a smaller one.</summary>
    public double Milliseconds(in StepShape shape)
    {
        Span<double> terms = stackalloc double[Terms];
        Fill(terms, shape);
        return Expected(terms);
    }

    /// <summary>Learns from a step that has run.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="milliseconds">What it took; nothing is learnt from a clock that stood still.</param>
    public void Observe(in StepShape shape, double milliseconds)
    {
        if (!(milliseconds > 0))
        {
            return;
        }

        Fill(_terms, shape);
        var scale = milliseconds;
        if (IsKnown && Expected(_terms) is > 0 and var expected)
        {
            scale = expected;
            milliseconds = Math.Clamp(milliseconds, expected * SurprisinglyShort, expected * SurprisinglyLong);
        }

        for (var i = 0; i < Terms; i++)
        {
            var weighted = _terms[i] / (scale * scale);
            _products[i] = (_products[i] * Forgetting) + (weighted * milliseconds);
            for (var j = 0; j < Terms; j++)
            {
                _squares[(i * Terms) + j] = (_squares[(i * Terms) + j] * Forgetting) + (weighted * _terms[j]);
            }
        }

        for (var round = 0; round < Rounds; round++)
        {
            Descend();
        }

        _plainSteps += shape.PromptTokens == 0 && _plainSteps < StepsToKnow ? 1 : 0;
        _promptSteps += shape.PromptTokens > 0 && _promptSteps < StepsToKnow ? 1 : 0;
        MostPromptTokens = Math.Max(MostPromptTokens, shape.PromptTokens);
    }

    private static void Fill(Span<double> terms, in StepShape shape)
    {
        terms[0] = 1;
        terms[1] = Math.Min(shape.Rows, FirstBend);
        terms[2] = Math.Clamp(shape.Rows - FirstBend, 0, SecondBend - FirstBend);
        terms[3] = Math.Clamp(shape.Rows - SecondBend, 0, ThirdBend - SecondBend);
        terms[4] = Math.Max(0, shape.Rows - ThirdBend);
        terms[5] = shape.Sampled;
        terms[6] = shape.Attended / AttendedUnit;
        terms[7] = shape.PromptPairs / PairUnit;
    }

    // Each cost in turn becomes what is best while the others stand still.
    private void Descend()
    {
        for (var i = 0; i < Terms; i++)
        {
            var own = _squares[(i * Terms) + i];
            // A term that was not there for hundreds of steps has faded to nothing that could be divided by.
            if (own < Faintest)
            {
                continue;
            }

            var rest = _products[i];
            for (var j = 0; j < Terms; j++)
            {
                rest -= _squares[(i * Terms) + j] * _costs[j];
            }

            _costs[i] = Math.Max(0, _costs[i] + (rest / own));
        }
    }

    private double Expected(ReadOnlySpan<double> terms)
    {
        var sum = 0.0;
        for (var i = 0; i < Terms; i++)
        {
            sum += _costs[i] * terms[i];
        }

        return sum;
    }
}
