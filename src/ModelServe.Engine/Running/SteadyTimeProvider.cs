namespace ModelServe.Engine.Running;

/// <summary>The wall clock as it stood at start, moved on by the monotonic clock: no jump of the system's clock reaches a duration.</summary>
/// <remarks>
/// Deadlines, timings and heartbeats are differences of this clock. Timers and timestamps are those of the clock beneath,
/// which are monotonic already. What it shows as a date drifts from a wall clock that is set later; nothing here tells dates.
/// Immutable and thread-safe.
/// </remarks>
public sealed class SteadyTimeProvider : TimeProvider
{
    private readonly TimeProvider _beneath;
    private readonly DateTimeOffset _start;
    private readonly long _startTimestamp;

    /// <summary>A clock that starts now.</summary>
    /// <param name="beneath">Where start and the monotonic time come from.</param>
    public SteadyTimeProvider(TimeProvider beneath)
    {
        _beneath = beneath;
        _start = beneath.GetUtcNow();
        _startTimestamp = beneath.GetTimestamp();
    }

    /// <inheritdoc />
    public override long TimestampFrequency => _beneath.TimestampFrequency;

    /// <inheritdoc />
    public override TimeZoneInfo LocalTimeZone => _beneath.LocalTimeZone;

    /// <inheritdoc />
    public override DateTimeOffset GetUtcNow() => _start + _beneath.GetElapsedTime(_startTimestamp);

    /// <inheritdoc />
    public override long GetTimestamp() => _beneath.GetTimestamp();

    /// <inheritdoc />
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        _beneath.CreateTimer(callback, state, dueTime, period);
}
