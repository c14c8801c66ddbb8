namespace ModelServe.Execution.Sampling;

/// <summary>A few threads that make the masks of constrained sequences while the model runs, so that the engine thread does not.</summary>
/// <remarks>
/// Half of them never take the work of a sequence whose last mask took long: a costly grammar holds up only its own like. The threads
/// start with the first order. An order allocates nothing. Thread-safe.
/// </remarks>
internal sealed class MaskWorkers : IDisposable
{
    private readonly object _gate = new();
    private readonly int _count;
    private Thread[] _threads = [];
    private MaskOrder? _firstShort;
    private MaskOrder? _lastShort;
    private MaskOrder? _firstLong;
    private MaskOrder? _lastLong;
    private bool _stopped;

    /// <summary>No threads yet.</summary>
    /// <param name="count">How many there may be, at least 2.</param>
    public MaskWorkers(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 2);
        _count = count;
    }

    /// <summary>So many as suit this machine.</summary>
    public static MaskWorkers ForThisMachine() => new(Math.Clamp(Environment.ProcessorCount / 8, 2, 4));

    /// <summary>Takes an order in.</summary>
    public void Add(MaskOrder order)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopped, this);
            if (_threads.Length == 0)
            {
                Start();
            }

            order.Next = null;
            if (order.IsLong)
            {
                Append(ref _firstLong, ref _lastLong, order);
            }
            else
            {
                Append(ref _firstShort, ref _lastShort, order);
            }

            // Whoever takes only short work would not take a long one, so all are woken for it.
            if (order.IsLong)
            {
                Monitor.PulseAll(_gate);
            }
            else
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>Ends the threads after what they are at; orders that were not begun stay undone.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    private static void Append(ref MaskOrder? first, ref MaskOrder? last, MaskOrder order)
    {
        if (last is null)
        {
            first = order;
        }
        else
        {
            last.Next = order;
        }

        last = order;
    }

    private static MaskOrder? TakeFirst(ref MaskOrder? first, ref MaskOrder? last)
    {
        if (first is not { } order)
        {
            return null;
        }

        first = order.Next;
        last = first is null ? null : last;
        order.Next = null;
        return order;
    }

    private void Start()
    {
        _threads = new Thread[_count];
        for (int i = 0; i < _count; i++)
        {
            bool takesLong = i % 2 == 0;
            _threads[i] = new Thread(() => Work(takesLong)) { Name = $"modelserve masks {i + 1}", IsBackground = true };
            _threads[i].Start();
        }
    }

    private void Work(bool takesLong)
    {
        while (Take(takesLong) is { } order)
        {
            order.Run();
        }
    }

    private MaskOrder? Take(bool takesLong)
    {
        lock (_gate)
        {
            while (!_stopped)
            {
                MaskOrder? order = TakeFirst(ref _firstShort, ref _lastShort)
                    ?? (takesLong ? TakeFirst(ref _firstLong, ref _lastLong) : null);
                if (order is not null)
                {
                    return order;
                }

                Monitor.Wait(_gate);
            }

            return null;
        }
    }
}
