namespace ModelServe.Codec.Tests.Templates;

/// <summary>A clock whose time of day stands still; its timestamps advance by a fixed span at every look.</summary>
public sealed class FixedClock(DateTimeOffset now, TimeSpan perLook = default) : TimeProvider
{
    private long _ticks;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => now;

    public override long GetTimestamp() => _ticks += perLook.Ticks;
}
