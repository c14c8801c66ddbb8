namespace ModelServe.Engine.Running;

/// <summary>The port through which the engine runs a model: a plan in, one token a sequence out.</summary>
/// <remarks>
/// Called from the engine thread only. The engine submits at most <see cref="Depth"/> plans before it collects the oldest.
/// Depth 1 is synchronous: plan, submit, collect. At depth 2 step N + 1 is submitted before the tokens of N are known, and
/// its decode rows carry <see cref="StepPlan.LastSampledToken"/>. Steps complete in order of submission.
/// Key-value blocks named by a plan must not be reused before that step has been collected; the engine keeps that rule.
/// </remarks>
public interface IStepExecutor : IDisposable
{
    /// <summary>The agreed sizes.</summary>
    ExecutorGeometry Geometry { get; }

    /// <summary>How many steps may be in flight, at least 1.</summary>
    int Depth { get; }

    /// <summary>Starts a step. May return before it is done; the plan stays untouched until <see cref="Collect"/> returned its result.</summary>
    /// <exception cref="ExecutorExhaustedException">There was no memory for it; no step is in flight any more.</exception>
    /// <exception cref="ExecutorFailedException">The executor is beyond repair; the engine must end every stream.</exception>
    void Submit(StepPlan plan);

    /// <summary>Waits for the oldest submitted step.</summary>
    /// <exception cref="ExecutorExhaustedException">There was no memory for it; no step is in flight any more.</exception>
    /// <exception cref="ExecutorFailedException">The executor is beyond repair; the engine must end every stream.</exception>
    StepResult Collect();
}
