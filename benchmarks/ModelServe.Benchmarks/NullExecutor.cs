using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>An executor that does nothing and answers every sampled row with token 1: what remains is the engine.</summary>
internal sealed class NullExecutor(ExecutorGeometry geometry) : IStepExecutor
{
    private readonly StepResult _result = new(geometry);

    /// <inheritdoc />
    public ExecutorGeometry Geometry => geometry;

    /// <inheritdoc />
    public int Depth => 1;

    /// <inheritdoc />
    public void Submit(StepPlan plan)
    {
        _result.StepId = plan.StepId;
        _result.SequenceCount = plan.SequenceCount;
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            _result.TokenIds[sequence] = plan.Samples[sequence] ? 1 : StepResult.NoToken;
        }
    }

    /// <inheritdoc />
    public StepResult Collect() => _result;

    /// <inheritdoc />
    public void Dispose()
    {
        // Holds nothing.
    }
}
