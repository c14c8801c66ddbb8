namespace ModelServe.Api.Health;

/// <summary>Tells a host that a model's engine has failed for good, so that the process can end and start afresh. Thread-safe.</summary>
public sealed class EngineFailure
{
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal EngineFailure()
    {
    }

    /// <summary>Whether one has.</summary>
    public bool HasHappened => _first.Task.IsCompleted;

    /// <summary>Waits for the first failure.</summary>
    /// <returns>The model's name.</returns>
    public Task<string> WaitAsync(CancellationToken cancellationToken) => _first.Task.WaitAsync(cancellationToken);

    internal void Report(string model) => _first.TrySetResult(model);
}
