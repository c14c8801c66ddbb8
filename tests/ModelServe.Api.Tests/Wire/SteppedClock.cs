using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;

namespace ModelServe.Api.Tests.Wire;

/// <summary>
/// A server's clock that stands still until a test moves it: no limit passes because a machine was busy, and each passes at the moment that
/// the test is about. It knows which waits were asked of it and which of them are under way. Thread-safe.
/// </summary>
/// <remarks>It starts at the system's time, by which clients tell their deadlines.</remarks>
public sealed class SteppedClock() : FakeTimeProvider(TimeProvider.System.GetUtcNow())
{
    private readonly ConcurrentQueue<NotedTimer> _timers = [];

    /// <summary>How many waits of that length are under way.</summary>
    public int Pending(TimeSpan wait) => _timers.Count(timer => timer.DueTime == wait);

    /// <summary>Whether a wait of that length was ever asked for.</summary>
    public bool WasAskedFor(TimeSpan wait) => _timers.Any(timer => timer.WasDueIn(wait));

    /// <summary>Moves on by so much again and again, a moment between, until a condition holds.</summary>
    public Task AdvanceUntilAsync(TimeSpan step, Func<bool> condition, string what) => WireServer.EventuallyAsync(
        () =>
        {
            if (!condition())
            {
                Advance(step);
                return false;
            }

            return true;
        },
        what);

    /// <summary>Moves on by a wait once one of that length is under way, as often as it takes, until a condition holds.</summary>
    public Task PassAsync(TimeSpan wait, Func<bool> condition, string what) => WireServer.EventuallyAsync(
        () =>
        {
            if (!condition() && Pending(wait) > 0)
            {
                Advance(wait);
            }

            return condition();
        },
        what);

    /// <inheritdoc />
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new NotedTimer();
        timer.Start(
            base.CreateTimer(
                given =>
                {
                    timer.Fired(period);
                    callback(given);
                },
                state,
                Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan),
            dueTime,
            period);
        _timers.Enqueue(timer);
        return timer;
    }

    /// <summary>A timer that remembers what it was told.</summary>
    private sealed class NotedTimer : ITimer
    {
        private readonly ConcurrentQueue<TimeSpan> _asked = [];
        private ITimer? _timer;
        private long _dueTicks = Timeout.InfiniteTimeSpan.Ticks;

        public TimeSpan DueTime => TimeSpan.FromTicks(Interlocked.Read(ref _dueTicks));

        public bool WasDueIn(TimeSpan wait) => _asked.Contains(wait);

        public void Start(ITimer timer, TimeSpan dueTime, TimeSpan period)
        {
            _timer = timer;
            Change(dueTime, period);
        }

        public void Fired(TimeSpan period) => Interlocked.Exchange(ref _dueTicks, period.Ticks);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _asked.Enqueue(dueTime);
            // Noted first: a test that sees it under way and moves the clock finds it set a moment later, and moves it again.
            Interlocked.Exchange(ref _dueTicks, dueTime.Ticks);
            return _timer!.Change(dueTime, period);
        }

        public void Dispose()
        {
            Interlocked.Exchange(ref _dueTicks, Timeout.InfiniteTimeSpan.Ticks);
            _timer!.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
