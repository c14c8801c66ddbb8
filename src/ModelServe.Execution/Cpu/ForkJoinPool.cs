using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace ModelServe.Execution.Cpu;

/// <summary>Runs one function on a fixed set of threads and waits for all of them; the caller is the first of them.</summary>
/// <remarks>
/// Every call runs parts 0 .. <see cref="Threads"/> - 1 once each, part i always on thread i, so that work divided by part is divided
/// alike every time. A call allocates nothing. Threads spin briefly between calls, because the next follows within microseconds
/// while a model runs, and then sleep, because they share the machine. One caller at a time.
/// </remarks>
internal sealed unsafe class ForkJoinPool : IDisposable
{
    private const int SpinsPerClockRead = 16;
    private static readonly long SpinTicks = Stopwatch.Frequency * 40 / 1_000_000;

    private readonly Thread[] _threads;
    private readonly Worker[] _workers;
    private readonly AutoResetEvent _finished = new(false);
    private delegate*<void*, int, int, void> _body;
    private void* _context;
    private int _generation;
    private int _remaining;
    private int _callerSleeps;
    private bool _stopping;
    private bool _disposed;

    /// <summary>A pool of <paramref name="threads"/> threads, the caller's counted.</summary>
    public ForkJoinPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        Threads = threads;
        _workers = new Worker[threads - 1];
        _threads = new Thread[threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var worker = new Worker(i + 1);
            _workers[i] = worker;
            _threads[i] = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"compute {i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that take part, the caller's counted.</summary>
    public int Threads { get; }

    /// <summary>Calls <c>body(context, part, Threads)</c> for every part and returns when all have returned.</summary>
    /// <exception cref="Exception">What the body threw, of the lowest part that threw; all parts have ended by then.</exception>
    public void Run(delegate*<void*, int, int, void> body, void* context)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_workers.Length == 0)
        {
            body(context, 0, 1);
            return;
        }

        _body = body;
        _context = context;
        _remaining = _workers.Length;
        Publish();
        Exception? own = null;
        try
        {
            body(context, 0, Threads);
        }
#pragma warning disable CA1031 // Whatever the body threw leaves this method, once no thread uses the context any more.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            own = exception;
        }

        WaitForWorkers();
        Rethrow(own);
    }

    /// <summary>Ends the threads. Not while a call runs.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Volatile.Write(ref _stopping, true);
        Publish();
        foreach (var thread in _threads)
        {
            thread.Join();
        }

        foreach (var worker in _workers)
        {
            worker.Wake.Dispose();
        }

        _finished.Dispose();
    }

    private void Publish()
    {
        // A full fence: the job is visible before the generation, and the generation before the look at who sleeps.
        Interlocked.Increment(ref _generation);
        foreach (var worker in _workers)
        {
            if (Volatile.Read(ref worker.Sleeps) != 0 && Interlocked.Exchange(ref worker.Sleeps, 0) != 0)
            {
                worker.Wake.Set();
            }
        }
    }

    private void WaitForWorkers()
    {
        var start = Stopwatch.GetTimestamp();
        for (var spins = 1; Volatile.Read(ref _remaining) != 0; spins++)
        {
            Thread.SpinWait(1);
            if (spins % SpinsPerClockRead == 0 && Stopwatch.GetTimestamp() - start > SpinTicks)
            {
                Interlocked.Exchange(ref _callerSleeps, 1);
                if (Volatile.Read(ref _remaining) != 0 || Interlocked.Exchange(ref _callerSleeps, 0) == 0)
                {
                    _finished.WaitOne();
                }
            }
        }
    }

    private void Rethrow(Exception? own)
    {
        var first = own;
        foreach (var worker in _workers)
        {
            first ??= worker.Thrown;
            worker.Thrown = null;
        }

        if (first is not null)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }

    private void Loop(Worker worker)
    {
        var seen = 0;
        while (true)
        {
            WaitForWork(worker, seen);
            seen = Volatile.Read(ref _generation);
            if (Volatile.Read(ref _stopping))
            {
                return;
            }

            try
            {
                _body(_context, worker.Part, Threads);
            }
#pragma warning disable CA1031 // The caller rethrows it.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                worker.Thrown = exception;
            }

            if (Interlocked.Decrement(ref _remaining) == 0 && Interlocked.Exchange(ref _callerSleeps, 0) != 0)
            {
                _finished.Set();
            }
        }
    }

    private void WaitForWork(Worker worker, int seen)
    {
        var start = Stopwatch.GetTimestamp();
        for (var spins = 1; Volatile.Read(ref _generation) == seen; spins++)
        {
            Thread.SpinWait(1);
            if (spins % SpinsPerClockRead == 0 && Stopwatch.GetTimestamp() - start > SpinTicks)
            {
                // Either this thread takes its flag back, or the publisher took it and a wake is on its way.
                Interlocked.Exchange(ref worker.Sleeps, 1);
                if (Volatile.Read(ref _generation) == seen || Interlocked.Exchange(ref worker.Sleeps, 0) == 0)
                {
                    worker.Wake.WaitOne();
                }
            }
        }
    }

    /// <summary>One thread's state.</summary>
    private sealed class Worker(int part)
    {
#pragma warning disable SA1401, CA1051 // Passed by reference to interlocked operations.
        public int Sleeps;
#pragma warning restore SA1401, CA1051

        public int Part { get; } = part;

        public AutoResetEvent Wake { get; } = new(false);

        public Exception? Thrown { get; set; }
    }
}
