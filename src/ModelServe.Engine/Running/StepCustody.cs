namespace ModelServe.Engine.Running;

/// <summary>Who may touch an engine's state: its own thread, or, once a step was given up, whoever gave it up.</summary>
/// <remarks>
/// While the engine thread is inside the executor it touches nothing else, so another thread may take its place there, once
/// and for good. A thread that comes back to find its place taken leaves without a further look at any state.
/// </remarks>
internal sealed class StepCustody
{
    private const int Engine = 0;
    private const int Executor = 1;
    private const int Taken = 2;

    private int _holder;

    /// <summary>Whether a step was given up.</summary>
    public bool IsTaken => Volatile.Read(ref _holder) == Taken;

    /// <summary>Takes the place of an engine thread that is inside the executor. Any thread.</summary>
    /// <returns>Whether it was there; the caller then owns the engine's state.</returns>
    public bool TryTake() => Interlocked.CompareExchange(ref _holder, Taken, Executor) == Executor;

    /// <summary>Submits a step. Engine thread only.</summary>
    /// <exception cref="StepGivenUpException">Its place was taken meanwhile.</exception>
    public void Submit(IStepExecutor executor, StepPlan plan)
    {
        Volatile.Write(ref _holder, Executor);
        try
        {
            executor.Submit(plan);
        }
        finally
        {
            Return();
        }
    }

    /// <summary>Collects the oldest step. Engine thread only.</summary>
    /// <exception cref="StepGivenUpException">Its place was taken meanwhile.</exception>
    public StepResult Collect(IStepExecutor executor)
    {
        Volatile.Write(ref _holder, Executor);
        try
        {
            return executor.Collect();
        }
        finally
        {
            Return();
        }
    }

    private void Return()
    {
        if (Interlocked.CompareExchange(ref _holder, Engine, Executor) != Executor)
        {
            throw new StepGivenUpException();
        }
    }
}
