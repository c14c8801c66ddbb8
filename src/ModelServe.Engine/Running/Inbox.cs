using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>What other threads leave for the engine thread: arrivals and cancellations, and the bell that wakes it.</summary>
/// <remarks>
/// Intrusive stacks that many threads push on and one empties at once, so no lock and no allocation. Arrivals and
/// cancellations are bounded without a count of their own: every entry is a live request, those are bounded by
/// <see cref="QueueBudget"/> and the slots, and each is pushed at most once on either. Orders are an operator's, a handful.
/// </remarks>
internal sealed class Inbox : IDisposable
{
    private readonly AutoResetEvent _bell = new(false);
    private Sequence? _arrivals;
    private Sequence? _cancellations;
    private EngineOrder? _orders;
    private int _asleep;
    private int _rung;

    /// <summary>Leaves an admitted sequence.</summary>
    public void AddArrival(Sequence sequence)
    {
        var head = Volatile.Read(ref _arrivals);
        do
        {
            sequence.NextArrival = head;
        }
        while (!ReferenceEquals(head, head = Interlocked.CompareExchange(ref _arrivals, sequence, head)));
        WakeIfAsleep();
    }

    /// <summary>Leaves the wish that a sequence ends; once a sequence.</summary>
    public void AddCancellation(Sequence sequence)
    {
        var head = Volatile.Read(ref _cancellations);
        do
        {
            sequence.NextCancellation = head;
        }
        while (!ReferenceEquals(head, head = Interlocked.CompareExchange(ref _cancellations, sequence, head)));
        WakeIfAsleep();
    }

    /// <summary>Leaves an order.</summary>
    public void AddOrder(EngineOrder order)
    {
        var head = Volatile.Read(ref _orders);
        do
        {
            order.Next = head;
        }
        while (!ReferenceEquals(head, head = Interlocked.CompareExchange(ref _orders, order, head)));
        WakeIfAsleep();
    }

    /// <summary>Takes all orders, oldest first, linked by <see cref="EngineOrder.Next"/>.</summary>
    public EngineOrder? TakeOrders()
    {
        if (Volatile.Read(ref _orders) is null)
        {
            return null;
        }

        EngineOrder? oldest = null;
        for (var newest = Interlocked.Exchange(ref _orders, null); newest is not null;)
        {
            var following = newest.Next;
            newest.Next = oldest;
            oldest = newest;
            newest = following;
        }

        return oldest;
    }

    /// <summary>Takes all arrivals, oldest first, linked by <see cref="Sequence.NextArrival"/>.</summary>
    public Sequence? TakeArrivals()
    {
        if (Volatile.Read(ref _arrivals) is null)
        {
            return null;
        }

        Sequence? oldest = null;
        for (var newest = Interlocked.Exchange(ref _arrivals, null); newest is not null;)
        {
            var following = newest.NextArrival;
            newest.NextArrival = oldest;
            oldest = newest;
            newest = following;
        }

        return oldest;
    }

    /// <summary>Takes all cancellations, linked by <see cref="Sequence.NextCancellation"/>.</summary>
    public Sequence? TakeCancellations() =>
        Volatile.Read(ref _cancellations) is null ? null : Interlocked.Exchange(ref _cancellations, null);

    /// <summary>Makes the engine thread look again, even if nothing was left.</summary>
    public void Ring()
    {
        Volatile.Write(ref _rung, 1);
        WakeIfAsleep();
    }

    /// <summary>Blocks the engine thread until something is left, the bell rings, or the time is over.</summary>
    /// <param name="limit">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    public void WaitForNews(TimeSpan limit)
    {
        Interlocked.Exchange(ref _asleep, 1);
        // Announced first, looked second: whoever leaves something after this look sees the announcement.
        if (Volatile.Read(ref _arrivals) is null && Volatile.Read(ref _cancellations) is null
            && Volatile.Read(ref _orders) is null && Volatile.Read(ref _rung) == 0)
        {
            _bell.WaitOne(limit);
        }

        Interlocked.Exchange(ref _asleep, 0);
        // With a fence behind it: what the caller looks at next must not be read before this ring is taken back, or a ring
        // that comes between the two is taken back unheard.
        Interlocked.Exchange(ref _rung, 0);
    }

    /// <inheritdoc />
    public void Dispose() => _bell.Dispose();

    private void WakeIfAsleep()
    {
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _asleep) == 1 && Interlocked.Exchange(ref _asleep, 0) == 1)
        {
            try
            {
                _bell.Set();
            }
            catch (ObjectDisposedException)
            {
                // The engine thread had looked without sleeping and has ended meanwhile; what was left here is ended by who stops it.
            }
        }
    }
}
