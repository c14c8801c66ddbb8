using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>How many prompt tokens a step may feed beside sequences that generate.</summary>
/// <remarks>
/// With <see cref="EngineOptions.PrefillStretch"/> as many as keep the step within that multiple of what it would take without them, or
/// within <see cref="EngineOptions.BriefStep"/>, by what steps of such shapes took so far; somewhat more the more wait beside those that
/// generate, since prompts that dawdle leave fewer to share a step, and where a prompt has been at it for long; never fewer than a few, so that every prompt gets on. The rows of a step come to a multiple
/// of what kernels compute at once, by up to three rows more than was reckoned, and stay where they are while the estimate only trembles. A pure function of its
/// state and what it is told. Thread: engine thread only.
/// </remarks>
internal sealed class PromptPortions
{
    private const int RowsAtOnce = 8;
    private const int RowsToSpare = 2;
    private const int Tremble = 1;
    private const double MostForMany = 1.5;
    private const double MostForAge = 4;

    private readonly EngineOptions _options;
    private readonly int _maxBatchedTokens;
    private int _rows;

    /// <summary>Makes the rule of one engine.</summary>
    public PromptPortions(EngineOptions options, int maxBatchedTokens, StepTimes times)
    {
        Times = times;
        _options = options;
        _maxBatchedTokens = maxBatchedTokens;
    }

    /// <summary>What steps take; whoever runs them tells it.</summary>
    public StepTimes Times { get; }

    /// <summary>Whether steps are to be told to <see cref="Times"/>.</summary>
    public bool Learns => _options.PrefillStretch > 0;

    /// <summary>Whether there is any limit, for which it must be known who generates.</summary>
    public bool HasLimit => Learns || _options.MixedPrefillTokens > 0;

    /// <summary>Prompt tokens, over all sequences, that the next step may feed: at least 1, and with nobody generating no limit.</summary>
    public int Most(in StepDemand demand)
    {
        if (demand.Generating == 0 || !HasLimit)
        {
            return int.MaxValue;
        }

        var most = Math.Max(1, _maxBatchedTokens - demand.Generating);
        if (!Learns || !Times.IsKnown)
        {
            return Math.Min(most, _options.MixedPrefillTokens == 0 ? int.MaxValue : _options.MixedPrefillTokens);
        }

        // Twice what has been seen: beyond it the estimate is a guess.
        var seen = Math.Max(2 * Times.MostPromptTokens, RowsAtOnce);
        return Math.Min(Math.Max(Settled(demand.Generating + Longest(demand, Math.Min(most, seen))) - demand.Generating, RowsAtOnce), most);
    }

    /// <summary>With nobody generating: the rows from which on a step starts no further prompt once one is complete, since that one's answer can begin.</summary>
    public int BriefRows()
    {
        if (!Learns || !Times.IsKnown)
        {
            return int.MaxValue;
        }

        var (low, high) = (2 * RowsAtOnce, _maxBatchedTokens);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            var isBrief = Times.Milliseconds(default(StepShape).With(middle, 0)) <= _options.BriefStep.TotalMilliseconds;
            (low, high) = isBrief ? (middle, high) : (low, middle - 1);
        }

        return low;
    }

    private int Longest(in StepDemand demand, int most)
    {
        var plain = Times.Milliseconds(demand.Plain);
        var spare = Math.Max((_options.PrefillStretch - 1) * plain, _options.BriefStep.TotalMilliseconds - plain);
        spare *= Math.Min(1 + ((double)demand.Unanswered / demand.Generating), MostForMany);
        spare *= Math.Clamp((double)demand.PromptAgeTicks / _options.PrefillPatience.Ticks, 1, MostForAge);
        var (low, high) = (0, most);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            var fits = Times.Milliseconds(demand.Plain.With(middle, demand.PromptPosition)) <= plain + spare;
            (low, high) = fits ? (middle, high) : (low, middle - 1);
        }

        return low;
    }

    private int Settled(int rows)
    {
        // Two rows short of a multiple are as good as it: kernels take as long for them, and one multiple less would be a third of the step.
        if (rows >= _rows + RowsAtOnce - RowsToSpare + Tremble || rows < _rows - RowsToSpare - Tremble)
        {
            _rows = (rows + RowsToSpare) / RowsAtOnce * RowsAtOnce;
        }

        return _rows;
    }
}
