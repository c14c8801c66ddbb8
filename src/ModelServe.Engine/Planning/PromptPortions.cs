using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>How many prompt tokens a step may feed beside sequences that generate.</summary>
/// <remarks>
/// With <see cref="EngineOptions.PrefillStretch"/> as many as keep the step within that multiple of what it would take without them, or
/// within <see cref="EngineOptions.BriefStep"/>, by what steps of such shapes took so far. Where prompts are rare the multiple is smaller: those
/// who generate are used to steps without, and a prompt is fed as fast in many small portions. Where there is hardly a step without one it is larger:
/// then a step with one is the usual step, and prompts that dawdle leave fewer to share it. Larger too where a prompt has been at it for long;
/// never fewer than a few tokens, so that every prompt gets on. Once in many steps no prompt is fed, so that it stays known what that takes.
/// The rows of a step come to a multiple of what kernels compute well at once, by up to a row more than was reckoned, and stay where they are
/// while the estimate only trembles. A pure function of its state and what it is told. Thread: engine thread only.
/// </remarks>
internal sealed class PromptPortions
{
    private const int LeastPortion = 8;
    private const int RowsAtOnce = 4;
    private const int RowsToSpare = 1;
    private const int Tremble = 1;
    private const double ShareWhereRare = 0.4;
    private const double ShareWhereUsual = 1.4;
    private const double RareBelow = 0.7;
    private const double StepsRemembered = 64;
    private const int StepsBetweenPlain = 128;
    private const double MostForAge = 4;

    private readonly EngineOptions _options;
    private readonly int _maxBatchedTokens;
    private int _rows;
    private int _withPrompts;
    private double _usual;

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

    /// <summary>Prompt tokens, over all sequences, that the next step may feed; with nobody generating no limit. Asked once for each step.</summary>
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

        _usual += ((demand.Unanswered > 0 ? 1 : 0) - _usual) / StepsRemembered;
        _withPrompts = demand.Unanswered > 0 ? _withPrompts + 1 : 0;
        if (_withPrompts > StepsBetweenPlain)
        {
            _withPrompts = 0;
            return 0;
        }

        // Twice what has been seen: beyond it the estimate is a guess.
        var seen = Math.Max(2 * Times.MostPromptTokens, LeastPortion);
        return Math.Min(Math.Max(Settled(demand.Generating + Longest(demand, Math.Min(most, seen))) - demand.Generating, LeastPortion), most);
    }

    /// <summary>With nobody generating: the rows from which on a step starts no further prompt once one is complete, since that one's answer can begin.</summary>
    public int BriefRows()
    {
        if (!Learns || !Times.IsKnown)
        {
            return int.MaxValue;
        }

        var (low, high) = (2 * LeastPortion, _maxBatchedTokens);
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
        var share = ShareWhereRare + ((ShareWhereUsual - ShareWhereRare) * Math.Max(0, (_usual - RareBelow) / (1 - RareBelow)));
        var age = Math.Min((double)demand.PromptAgeTicks / _options.PrefillPatience.Ticks, MostForAge);
        var spare = Math.Max((_options.PrefillStretch - 1) * Math.Max(share, age) * plain, _options.BriefStep.TotalMilliseconds - plain);
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
        // A row short of a multiple is as good as it: kernels take as long for it.
        if (rows >= _rows + RowsAtOnce - RowsToSpare + Tremble || rows < _rows - RowsToSpare - Tremble)
        {
            _rows = (rows + RowsToSpare) / RowsAtOnce * RowsAtOnce;
        }

        return _rows;
    }
}
