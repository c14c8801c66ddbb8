using ModelServe.Engine.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Makes a synchronous executor look like one that is a step behind: plans wait until they are collected.</summary>
/// <remarks>An engine over it plans step N + 1 before the tokens of step N exist anywhere.</remarks>
internal sealed class DeferredExecutor(IStepExecutor inner, int depth) : IStepExecutor
{
    private readonly Queue<StepPlan> _submitted = new();
    private readonly ManualResetEventSlim _open = new(initialState: true);

    public ExecutorGeometry Geometry => inner.Geometry;

    public int Depth => depth;

    public void Submit(StepPlan plan)
    {
        Assert.True(_submitted.Count < depth, "more steps in flight than the depth allows");
        _submitted.Enqueue(plan);
    }

    /// <summary>Holds the engine at its next step, so that everything admitted meanwhile runs together.</summary>
    public void Hold() => _open.Reset();

    /// <summary>Lets it go on.</summary>
    public void Release() => _open.Set();

    public StepResult Collect()
    {
        _open.Wait(TestContext.Current.CancellationToken);
        inner.Submit(_submitted.Dequeue());
        return inner.Collect();
    }

    public void Dispose()
    {
        _open.Dispose();
        inner.Dispose();
    }
}
