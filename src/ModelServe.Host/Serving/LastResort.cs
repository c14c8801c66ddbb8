namespace ModelServe.Host.Serving;

/// <summary>What is done when an orderly end hangs. It is armed once, cannot be disarmed, and holds until the process is gone. Thread-safe.</summary>
/// <param name="act">What is done; the process kills itself.</param>
/// <param name="time">The clock.</param>
internal sealed class LastResort(Action act, TimeProvider time)
{
    private ITimer? _timer;

    /// <summary>From now on the end may take so long and no longer.</summary>
    public void Arm(TimeSpan limit) =>
        Interlocked.CompareExchange(ref _timer, time.CreateTimer(_ => act(), null, limit, Timeout.InfiniteTimeSpan), null);
}
