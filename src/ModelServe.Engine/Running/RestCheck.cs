using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Nothing runs and nothing is in flight: the moment to notice what was lost, and to mend it. Engine thread only.</summary>
internal sealed class RestCheck
{
    private readonly StepPlanner _planner;
    private readonly EngineCounters _counters;
    private readonly bool _checksWhenIdle;
    private readonly Action<string>? _reportHealing;
    private int _fruitlessRounds;
    private bool _checked;

    /// <summary>Makes the check of one engine.</summary>
    /// <param name="planner">Slots and blocks.</param>
    /// <param name="counters">Where mendings are counted.</param>
    /// <param name="checksWhenIdle">Whether slots and blocks are counted at rest.</param>
    /// <param name="reportHealing">Told what was wrong.</param>
    public RestCheck(StepPlanner planner, EngineCounters counters, bool checksWhenIdle, Action<string>? reportHealing)
    {
        _planner = planner;
        _counters = counters;
        _checksWhenIdle = checksWhenIdle;
        _reportHealing = reportHealing;
    }

    /// <summary>A step was submitted.</summary>
    public void Over()
    {
        _fruitlessRounds = 0;
        _checked = false;
    }

    /// <summary>Looks once a rest, and as long as somebody waits in vain.</summary>
    /// <param name="isMeant">Whether nothing is planned on purpose.</param>
    /// <exception cref="InvalidOperationException">Requests wait and no step can be planned for them.</exception>
    public void Look(bool isMeant)
    {
        if (isMeant || (_checked && _planner.Waiting.Count == 0))
        {
            return;
        }

        _checked = true;
        if (_checksWhenIdle && _planner.Running.Count == 0 && _planner.FindIdleViolation() is { } violation)
        {
            _planner.Rebuild();
            _counters.Healings++;
            _reportHealing?.Invoke(violation);
        }
        else if (_planner.Running.Count + _planner.Waiting.Count > 0 && ++_fruitlessRounds > 2)
        {
            throw new InvalidOperationException(
                $"no step can be planned for {_planner.Running.Count} running and {_planner.Waiting.Count} waiting requests");
        }
    }
}
