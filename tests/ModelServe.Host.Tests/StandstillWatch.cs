using System.Diagnostics;

namespace ModelServe.Host.Tests;

/// <summary>Sees whether this process, or its pool of threads, stood still while something was tested that is held to limits of time.</summary>
internal sealed class StandstillWatch : IDisposable
{
    /// <summary>A thread that wakes this much late has not had a processor for as long as a limit of some tenths of a second bears.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromMilliseconds(80);

    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(5);

    private readonly ManualResetEventSlim _end = new();
    private readonly PeriodicTimer _timer = new(Beat);
    private readonly Thread _thread;
    private readonly Task _pool;
    private long _longest;

    /// <summary>Begins to watch.</summary>
    public StandstillWatch()
    {
        _thread = new Thread(BeatOnThread) { IsBackground = true, Name = "standstill watch" };
        _thread.Start();
        _pool = Task.Run(BeatOnPoolAsync);
    }

    /// <summary>The longest time that a thread or the pool came late by, so far.</summary>
    public TimeSpan Longest => TimeSpan.FromTicks(Volatile.Read(ref _longest));

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Set();
        _thread.Join();
        _timer.Dispose();
        _pool.GetAwaiter().GetResult();
        _end.Dispose();
    }

    private void BeatOnThread()
    {
        long last = Stopwatch.GetTimestamp();
        while (!_end.Wait(Beat))
        {
            last = Note(last);
        }
    }

    private async Task BeatOnPoolAsync()
    {
        long last = Stopwatch.GetTimestamp();
        while (await _timer.WaitForNextTickAsync(CancellationToken.None))
        {
            last = Note(last);
        }
    }

    private long Note(long last)
    {
        long now = Stopwatch.GetTimestamp();
        long late = (Stopwatch.GetElapsedTime(last, now) - Beat).Ticks;
        for (long seen = Volatile.Read(ref _longest); late > seen; seen = Volatile.Read(ref _longest))
        {
            Interlocked.CompareExchange(ref _longest, late, seen);
        }

        return now;
    }
}
