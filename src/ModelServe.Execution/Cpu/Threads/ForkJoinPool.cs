using System.Diagnostics;
using System.Runtime.ExceptionServices;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Runs the parts of one function on a fixed set of threads and waits for all of them; the caller is one of them.</summary>
/// <remarks>
/// Every call runs parts 0 .. parts - 1 once each. Each thread has parts of its own and takes others' when it is done with them, so that a
/// thread that shares its processor with another program, or does not come at all, takes fewer. Threads spin briefly between calls, because the next follows within
/// microseconds while a model runs, and then sleep, because they share the machine. A thread that held a call up for long, because
/// the system gave its processor away while it was in a part, is left out for some milliseconds: <see cref="StragglerWatch"/>.
/// A call allocates nothing. One caller at a time.
/// </remarks>
internal sealed unsafe class ForkJoinPool : IDisposable
{
    private const int SpinsPerClockRead = 16;

    // From then on whoever waits may have the processor: the caller sleeps, since the worker it waits for may have been put behind it; a worker offers it.
    private static readonly long BriefSpinTicks = Stopwatch.Frequency * 40 / 1_000_000;

    // A worker sleeps after longer than what passes between two steps: a processor that had gone idle was seen to come back to its thread milliseconds late.
    private static readonly long LongSpinTicks = Stopwatch.Frequency * 300 / 1_000_000;

    private readonly Thread[] _threads;
    private readonly PoolWorker[] _workers;
    private readonly StragglerWatch _watch;
    private readonly WayForWriters _writers = new();
    private readonly AutoResetEvent _finished = new(false);
    private readonly Lock _throwing = new();
    private readonly NativeBuffer _partMemory;
    private PartShares _partShares;
    private delegate*<void*, int, int, void> _body;
    private void* _context;
    private int _parts;
    private int _shares;
    private Exception? _thrown;
    private int _thrownPart;

    // Generation of the call and how many threads may still come in one word, so that none can come to a call that has ended.
    private ulong _ticket;
    private int _remaining;
    private int _callerSleeps;
    private bool _stopping;
    private bool _disposed;

    // What waiting threads do.
    private nint _meanwhile;
    private NativeBuffer? _meanwhileContext;
    private int _offer;
    private WaitingPieces _callersPieces;

    /// <summary>A pool of <paramref name="threads"/> threads, the caller's counted.</summary>
    /// <param name="threads">How many.</param>
    /// <param name="pin">Whether thread i keeps to processor i; the caller, thread 0, is left to do so itself.</param>
    public ForkJoinPool(int threads, bool pin = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        Threads = threads;
        _partMemory = new NativeBuffer(PartShares.BytesFor(threads));
        _workers = new PoolWorker[threads - 1];
        _threads = new Thread[threads - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var worker = new PoolWorker(i + 1);
            _workers[i] = worker;
            var processor = pin ? i + 1 : (int?)null;
            _threads[i] = new Thread(() => Loop(worker, processor)) { IsBackground = true, Name = $"compute {i + 1}" };
            _threads[i].Start();
        }

        _watch = new StragglerWatch(_workers);
    }

    /// <summary>Threads that take part, the caller's counted.</summary>
    public int Threads { get; }

    /// <summary>Threads that are left out for now because they held a call up.</summary>
    internal int LeftOut => _watch.Count;

    /// <summary>Gives waiting threads something to do in small pieces: <c>piece(context, thread, number)</c>, until it says that there is no more.</summary>
    /// <remarks>
    /// Threads are numbered from the caller's, 0. They look for work after each piece, so one must not take longer than a handing over.
    /// Set once; each <see cref="OfferPieces"/> starts at piece 0 again. A piece may see a context that is being changed.
    /// </remarks>
    /// <param name="piece">Does a piece.</param>
    /// <param name="bytes">Bytes of the context.</param>
    /// <returns>The context, zeros at first, which lasts until no thread can read it.</returns>
    public byte* DoMeanwhile(delegate*<void*, int, int, bool> piece, int bytes)
    {
        _meanwhileContext = new NativeBuffer(bytes);
        new Span<byte>(_meanwhileContext.Pointer, bytes).Clear();
        Volatile.Write(ref _meanwhile, (nint)piece);
        return _meanwhileContext.Pointer;
    }

    /// <summary>There is something new to do for threads that wait.</summary>
    public void OfferPieces() => Volatile.Write(ref _offer, _offer + 1);

    /// <summary>A step begins, in whose first moments threads let others go first between calls.</summary>
    public void BeginStep() => _writers.Begin(Stopwatch.GetTimestamp());

    /// <summary>As the other <c>Run</c>, with as many parts as threads.</summary>
    public void Run(delegate*<void*, int, int, void> body, void* context) => Run(body, context, Threads);

    /// <summary>Calls <c>body(context, part, parts)</c> for every part and returns when all have returned.</summary>
    /// <remarks>
    /// Each thread has a run of parts of its own, the same in every call of as many parts, and takes others' when it is done with them:
    /// what a thread made of a part in one call is in its cache when it meets that part in the next.
    /// </remarks>
    /// <exception cref="Exception">What the body threw, of the lowest part that threw; all parts have ended by then.</exception>
    public void Run(delegate*<void*, int, int, void> body, void* context, int parts)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(parts);
        var shares = Math.Min(parts, Threads);
        _partShares.Begin(_partMemory.Pointer, parts, shares);
        Call(body, context, parts, shares, parts);
    }

    /// <summary>Calls <c>body(context, thread, shares)</c> on the caller, thread 0, and on others that come before everything is taken; returns when all have returned.</summary>
    /// <remarks>
    /// For threads that divide the units of <see cref="PartShares"/> among themselves: each takes from the share of its own number first, so
    /// that what it made in one call is in its cache in the next. When the body returns on one thread, every unit is done or
    /// in another thread's hands. A thread's number can be beyond the shares. What the caller waits for at the end are units, and not
    /// shares: how long is too long is judged by that.
    /// </remarks>
    /// <param name="body">Takes units until there are none left.</param>
    /// <param name="context">The body's.</param>
    /// <param name="shares">Shares, and most threads that come.</param>
    /// <param name="units">Units in all.</param>
    /// <exception cref="Exception">What the body threw, of the lowest thread that threw; all have returned by then.</exception>
    public void RunShares(delegate*<void*, int, int, void> body, void* context, int shares, int units)
    {
        if (shares == 1)
        {
            body(context, 0, 1);
            return;
        }

        Call(body, context, 0, shares, units);
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
        Interlocked.MemoryBarrier();
        foreach (var worker in _workers)
        {
            worker.WakeIfAsleep();
        }

        foreach (var thread in _threads)
        {
            thread.Join();
        }

        foreach (var worker in _workers)
        {
            worker.Dispose();
        }

        _finished.Dispose();
        _partMemory.Dispose();
        _meanwhileContext?.Dispose();
    }

    // Without parts, the body divides the work itself.
    private void Call(delegate*<void*, int, int, void> body, void* context, int parts, int shares, int units)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(shares, Threads);
        _body = body;
        _context = context;
        _parts = parts;
        _shares = shares;
        _remaining = shares - 1;
        var start = Stopwatch.GetTimestamp();
        _watch.Begin(start);
        Publish(shares - 1);
        TakePart(0);
        var end = Stopwatch.GetTimestamp();
        while (TryTake())
        {
            // Who has not come by now would find nothing left to do.
            Interlocked.Decrement(ref _remaining);
        }

        if (Volatile.Read(ref _remaining) != 0)
        {
            WaitForWorkers(end);
            _watch.End(end, (end - start) * shares / units);
        }

        _writers.Offer(end);
        Rethrow();
    }

    private static uint Left(ulong ticket) => (uint)ticket;

    private void Publish(int wanted)
    {
        // A full fence: the job is visible before the ticket, and the ticket before the look at who sleeps.
        Interlocked.Exchange(ref _ticket, (((_ticket >> 32) + 1) << 32) | (uint)wanted);
        for (var i = 0; i < _workers.Length && wanted > 0; i++)
        {
            if (!_workers[i].IsLeftOut)
            {
                _workers[i].WakeIfAsleep();
                wanted--;
            }
        }
    }

    private bool TryTake()
    {
        var ticket = Volatile.Read(ref _ticket);
        while (Left(ticket) > 0)
        {
            var seen = Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket);
            if (seen == ticket)
            {
                return true;
            }

            ticket = seen;
        }

        return false;
    }

    // Body and context cannot change before the thread is counted as done.
    private void TakePart(int thread)
    {
        if (_parts == 0)
        {
            Guarded(thread, _shares);
            return;
        }

        while (_partShares.TryTake(thread, out var part, out _))
        {
            Guarded(part, _parts);
        }
    }

    private void Guarded(int part, int parts)
    {
        try
        {
            _body(_context, part, parts);
        }
#pragma warning disable CA1031 // The caller rethrows it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            lock (_throwing)
            {
                if (_thrown is null || part < _thrownPart)
                {
                    (_thrown, _thrownPart) = (exception, part);
                }
            }
        }
    }

    private void WaitForWorkers(long start)
    {
        for (var spins = 1; Volatile.Read(ref _remaining) != 0; spins++)
        {
            Meanwhile(0, ref _callersPieces);
            if (spins % SpinsPerClockRead == 0 && Stopwatch.GetTimestamp() - start > BriefSpinTicks)
            {
                // Asleep, this thread leaves its processor to one that the system took another from.
                Interlocked.Exchange(ref _callerSleeps, 1);
                if (Volatile.Read(ref _remaining) != 0 || Interlocked.Exchange(ref _callerSleeps, 0) == 0)
                {
                    _finished.WaitOne();
                }
            }
        }
    }

    private void Meanwhile(int thread, ref WaitingPieces own)
    {
        var offer = Volatile.Read(ref _offer);
        if (own.Offer != offer)
        {
            own = new WaitingPieces { Offer = offer };
        }

        var piece = (delegate*<void*, int, int, bool>)Volatile.Read(ref _meanwhile);
        if (own.AreDone || piece is null)
        {
            Thread.SpinWait(1);
        }
        else
        {
            own.AreDone = !piece(_meanwhileContext!.Pointer, thread, own.Next++);
        }
    }

    private void Rethrow()
    {
        if (_thrown is { } thrown)
        {
            _thrown = null;
            ExceptionDispatchInfo.Throw(thrown);
        }
    }

    private void Loop(PoolWorker worker, int? processor)
    {
        if (processor is { } number)
        {
            ThreadAffinity.KeepTo(number);
        }

        while (!Volatile.Read(ref _stopping))
        {
            if (!worker.IsLeftOut && TryTake())
            {
                worker.IsBusy = true;
                TakePart(worker.Number);
                if (Interlocked.Decrement(ref _remaining) == 0 && Interlocked.Exchange(ref _callerSleeps, 0) != 0)
                {
                    _finished.Set();
                }

                var end = Stopwatch.GetTimestamp();
                worker.LastEnd = end;
                worker.IsBusy = false;
                _writers.Offer(end);
            }
            else
            {
                WaitForWork(worker);
            }
        }
    }

    private bool HasWork(PoolWorker worker)
    {
        var ticket = Volatile.Read(ref _ticket);
        return Volatile.Read(ref _stopping) || (Left(ticket) > 0 && !worker.IsLeftOut);
    }

    private void WaitForWork(PoolWorker worker)
    {
        var start = Stopwatch.GetTimestamp();
        for (var spins = 1; !HasWork(worker); spins++)
        {
            Meanwhile(worker.Number, ref worker.Pieces);
            var waited = spins % SpinsPerClockRead == 0 ? Stopwatch.GetTimestamp() - start : 0;
            if (waited > BriefSpinTicks)
            {
                Thread.Yield();
            }

            if (worker.IsLeftOut || waited > LongSpinTicks)
            {
                worker.FallAsleep();

                // Either this thread takes its word back, or somebody has seen it and a wake is on its way.
                if (!HasWork(worker) || !worker.TryStayAwake())
                {
                    worker.AwaitWake();
                }
            }
        }
    }
}
