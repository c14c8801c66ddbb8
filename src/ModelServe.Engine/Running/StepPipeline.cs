using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>The steps between plan and settlement: submits them in order, takes back the oldest, and notes what each took.</summary>
/// <remarks>As many as the executor's depth are in flight at most. Allocates nothing once warm. Thread: engine thread only.</remarks>
internal sealed class StepPipeline
{
    private readonly IStepExecutor _executor;
    private readonly StepCustody _custody;
    private readonly StepPlanner _planner;
    private readonly StepSettlement _settlement;
    private readonly EngineCounters _counters;
    private readonly TimeProvider _time;
    private readonly PlannedStep[] _steps;
    private long _lastEnd;

    /// <summary>Makes the pipeline of one engine, empty.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The executor takes no step.</exception>
    public StepPipeline(
        IStepExecutor executor, StepCustody custody, StepPlanner planner, StepSettlement settlement, EngineCounters counters, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(executor.Depth, 1, nameof(executor));
        _executor = executor;
        _custody = custody;
        _planner = planner;
        _settlement = settlement;
        _counters = counters;
        _time = time;
        _steps = new PlannedStep[executor.Depth];
        for (var i = 0; i < _steps.Length; i++)
        {
            _steps[i] = new PlannedStep(executor.Geometry);
        }
    }

    /// <summary>Number of the newest step that was submitted; 0 before the first.</summary>
    public long LastStepId { get; private set; }

    /// <summary>Steps submitted and not taken back.</summary>
    public int InFlight { get; private set; }

    /// <summary>Whether the executor takes no further step before one was taken back.</summary>
    public bool IsFull => InFlight == _steps.Length;

    /// <summary>Fills the next step.</summary>
    /// <returns>Whether it has any row.</returns>
    public bool Plan(DateTimeOffset now) => _planner.Plan(StepOf(LastStepId + 1), LastStepId + 1, now.UtcTicks);

    /// <summary>Submits the step that was filled last.</summary>
    public void Submit()
    {
        var step = StepOf(++LastStepId);
        step.SubmittedAt = _time.GetTimestamp();
        _custody.Submit(_executor, step.Plan);
        InFlight++;
    }

    /// <summary>Waits for the oldest step's result. What it says is settled by <see cref="Settle"/>.</summary>
    public StepResult Collect() => _custody.Collect(_executor);

    /// <summary>Settles the oldest step.</summary>
    public void Settle(StepResult result, DateTimeOffset now)
    {
        var step = StepOf(LastStepId - InFlight + 1);
        Learn(step);
        _settlement.Settle(step, result, now);
        _counters.CountStep(step.Plan.TokenCount, _time.GetElapsedTime(step.SubmittedAt));
        InFlight--;
    }

    /// <summary>Forgets what is in flight: the executor has dropped it, or will not be heard again.</summary>
    public void Drop() => InFlight = 0;

    private void Learn(PlannedStep step)
    {
        if (!_planner.Portions.Learns)
        {
            return;
        }

        // One after the other: a step that was submitted while another ran began when that one ended.
        var end = _time.GetTimestamp();
        var took = _time.GetElapsedTime(Math.Max(step.SubmittedAt, _lastEnd), end);
        _lastEnd = end;
        if (step.Plan.ScoredCount == 0)
        {
            // One that scores prompt tokens takes longer than its shape says, and such steps are few.
            _planner.Portions.Times.Observe(StepShape.Of(step.Plan), took.TotalMilliseconds);
        }
    }

    private PlannedStep StepOf(long stepId) => _steps[(int)(stepId % _steps.Length)];
}
