using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>What happens to everything at once: the executor has no memory, the engine has failed, or it is stopped.</summary>
/// <remarks>Thread: engine thread, or whoever took its place or outlived it.</remarks>
internal sealed class Collapse
{
    private const int ExhaustedStepsForOneEnding = 3;

    private readonly StepPlanner _planner;
    private readonly StepPipeline _pipeline;
    private readonly LiveRequests _live;
    private readonly RequestEndings _endings;
    private readonly CommandIntake _intake;
    private readonly OrderDesk _orders;
    private readonly EngineCounters _counters;
    private int _exhaustedInARow;

    /// <summary>Makes the one of an engine.</summary>
    public Collapse(
        StepPlanner planner,
        StepPipeline pipeline,
        LiveRequests live,
        RequestEndings endings,
        CommandIntake intake,
        OrderDesk orders,
        EngineCounters counters)
    {
        _planner = planner;
        _pipeline = pipeline;
        _live = live;
        _endings = endings;
        _intake = intake;
        _orders = orders;
        _counters = counters;
    }

    /// <summary>A step was settled: whatever the executor lacked, it has.</summary>
    public void Over() => _exhaustedInARow = 0;

    /// <summary>Sends what runs back to be computed again, as after a preemption.</summary>
    /// <remarks>Where that meets the same want again and again, who takes most ends, so that the others get on.</remarks>
    public void ComputeAgain(ExecutorExhaustedException exception, DateTimeOffset now)
    {
        _counters.ExhaustedSteps++;
        _pipeline.Drop();
        var largest = _planner.PreemptAll(_pipeline.LastStepId);
        if (++_exhaustedInARow >= ExhaustedStepsForOneEnding && largest is not null)
        {
            _exhaustedInARow = 0;
            _endings.End(largest, FinishReason.Exhausted, exception.Message, now);
        }
    }

    /// <summary>Ends every request as failed; the engine serves no more.</summary>
    public void Fail(Exception exception, DateTimeOffset now)
    {
        var failure = exception is ExecutorFailedException ? exception.Message : $"{exception.GetType().Name}: {exception.Message}";
        _live.Fail(failure);
        _pipeline.Drop();
        _planner.Abandon();
        _orders.CompleteStandstill(0);
        foreach (var sequence in _live.All)
        {
            // An arrival that the inbox still holds ends here too; it is passed over when it is received.
            sequence.Phase = SequencePhase.Ended;
            _endings.End(sequence, FinishReason.Error, failure, now);
        }
    }

    /// <summary>Ends every request as drained, those still on their way in too; no step is in flight any more.</summary>
    public void Stop(DateTimeOffset now)
    {
        while (_planner.Running.Count > 0)
        {
            _endings.End(_planner.Running[0], FinishReason.Drained, null, now);
        }

        while (_planner.Waiting.First is { } sequence)
        {
            _endings.End(sequence, FinishReason.Drained, null, now);
        }

        _intake.EndArrivals(now);
        _orders.CompleteStandstill(0);
        _orders.CompleteRest();
    }
}
