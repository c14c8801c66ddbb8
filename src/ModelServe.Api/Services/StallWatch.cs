namespace ModelServe.Api.Services;

/// <summary>Ends a request whose client leaves its stream unread: one timer a call, armed only while a write is parked.</summary>
/// <remarks>
/// Kestrel itself never gives up on a stream that waits for HTTP/2 flow control. The action runs on a timer thread, at most once.
/// </remarks>
internal sealed class StallWatch(TimeSpan limit, TimeProvider time, Action onStalled) : IDisposable
{
    private ITimer? _timer;
    private int _armed;

    /// <summary>Whether the limit was reached.</summary>
    public bool HasFired { get; private set; }

    /// <summary>A write is parked from now on.</summary>
    public void Arm()
    {
        Volatile.Write(ref _armed, 1);
        if (_timer is null)
        {
            _timer = time.CreateTimer(static state => ((StallWatch)state!).Fire(), this, limit, Timeout.InfiniteTimeSpan);
        }
        else
        {
            _timer.Change(limit, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The write went through.</summary>
    public void Disarm()
    {
        Volatile.Write(ref _armed, 0);
        _timer?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer?.Dispose();

    private void Fire()
    {
        // A write that went through at the same moment has won.
        if (Interlocked.Exchange(ref _armed, 0) == 1)
        {
            HasFired = true;
            onStalled();
        }
    }
}
