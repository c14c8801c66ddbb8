namespace ModelServe.Engine.Running;

/// <summary>What an operator asks of an engine, as it lies in the inbox.</summary>
/// <remarks>Made by the asking thread, completed by the engine thread or, once the engine has stopped, by the asking one.</remarks>
internal sealed class EngineOrder
{
    private readonly TaskCompletionSource<int> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private EngineOrder(PauseMode? mode) => Mode = mode;

    /// <summary>The pause that is wanted, <see cref="PauseMode.None"/> to go on; null asks to forget all cached prefixes.</summary>
    public PauseMode? Mode { get; }

    /// <summary>Next in the engine's list of orders.</summary>
    public EngineOrder? Next { get; set; }

    /// <summary>Blocks forgotten; or 1 for a standstill that was reached, 0 for one that was not.</summary>
    public Task<int> Done => _done.Task;

    /// <summary>Stand still, or go on.</summary>
    public static EngineOrder Pause(PauseMode mode) => new(mode);

    /// <summary>Forget all cached prefixes.</summary>
    public static EngineOrder Flush() => new(null);

    /// <summary>Tells who asked; once, later calls do nothing.</summary>
    public void Complete(int result) => _done.TrySetResult(result);
}
