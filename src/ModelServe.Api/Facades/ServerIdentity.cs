namespace ModelServe.Api.Facades;

/// <summary>Who this process is and since when: made when the server starts.</summary>
internal sealed class ServerIdentity(TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();

    /// <summary>A name that no other process has.</summary>
    public string InstanceId { get; } = Guid.CreateVersion7().ToString("N");

    /// <summary>Time since the server started.</summary>
    public TimeSpan Uptime => time.GetElapsedTime(_started);

    /// <summary>Nanoseconds since 1970.</summary>
    public static ulong UnixNanoseconds(DateTimeOffset moment) =>
        (ulong)Math.Max(0, (moment - DateTimeOffset.UnixEpoch).Ticks) * TimeSpan.NanosecondsPerTick;

    /// <summary>Seconds since 1970.</summary>
    public static double UnixSeconds(DateTimeOffset moment) => (moment - DateTimeOffset.UnixEpoch).TotalSeconds;
}
