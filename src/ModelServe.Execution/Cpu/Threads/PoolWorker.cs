namespace ModelServe.Execution.Cpu.Threads;

/// <summary>What a pool and one of its threads tell each other.</summary>
internal sealed class PoolWorker(int number) : IDisposable
{
    private readonly AutoResetEvent _wake = new(false);
    private int _sleeps;
    private bool _leftOut;
    private bool _busy;
    private long _lastEnd;
    private WaitingPieces _pieces;

    /// <summary>The thread's number in the pool, from 1.</summary>
    public int Number { get; } = number;

    /// <summary>What the thread does while it waits. The thread's own.</summary>
    public ref WaitingPieces Pieces => ref _pieces;

    /// <summary>Whether the thread takes no parts for now. Written by the caller of the pool.</summary>
    public bool IsLeftOut
    {
        get => Volatile.Read(ref _leftOut);
        set => Volatile.Write(ref _leftOut, value);
    }

    /// <summary>Whether the thread is in a part. Written by the thread.</summary>
    public bool IsBusy
    {
        get => Volatile.Read(ref _busy);
        set => Volatile.Write(ref _busy, value);
    }

    /// <summary>When it ended its last part, as a timestamp. Written by the thread.</summary>
    public long LastEnd
    {
        get => Volatile.Read(ref _lastEnd);
        set => Volatile.Write(ref _lastEnd, value);
    }

    /// <summary>The thread says that it is about to sleep.</summary>
    public void FallAsleep() => Interlocked.Exchange(ref _sleeps, 1);

    /// <summary>The thread takes that back; false if somebody has already begun to wake it.</summary>
    public bool TryStayAwake() => Interlocked.Exchange(ref _sleeps, 0) != 0;

    /// <summary>The thread sleeps until it is woken.</summary>
    public void AwaitWake() => _wake.WaitOne();

    /// <summary>Wakes the thread if it said that it sleeps; costs nothing otherwise.</summary>
    public void WakeIfAsleep()
    {
        if (Volatile.Read(ref _sleeps) != 0 && Interlocked.Exchange(ref _sleeps, 0) != 0)
        {
            _wake.Set();
        }
    }

    /// <inheritdoc />
    public void Dispose() => _wake.Dispose();
}
