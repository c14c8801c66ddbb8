namespace ModelServe.Engine.Planning;

/// <summary>Sequences without a slot. The next to run is the first of the tenant that has been served least for its weight.</summary>
/// <remarks>
/// Start-time fair queueing by tokens: every token that is computed for a tenant, prompt tokens when they leave the queue and
/// outputs as they come, moves it back by one over its weight. Of tenants that always have something waiting each gets tokens
/// in proportion to its weight, but for what one request and those that run may cost; nobody starves. Who was away starts at
/// the clock, the lead of the last one served: absence saves nothing up. With one tenant this is its own order: higher
/// tier, higher priority, earlier arrival; a preempted sequence arrived before all of its class that never ran. O(log n) a
/// change; allocates nothing once warm. Deterministic. Thread: engine thread only.
/// </remarks>
internal sealed class WaitingQueue
{
    private const int TenantsKept = 1024;

    private readonly Dictionary<string, TenantQueue> _tenants = new(StringComparer.Ordinal);
    private readonly IndexedHeap<TenantQueue> _waiting = new(16);
    private Sequence[] _all;
    private long _clock;
    private long _lastTenant;

    /// <summary>Makes an empty queue with room for that many before it grows.</summary>
    public WaitingQueue(int capacity) => _all = new Sequence[Math.Max(4, capacity)];

    /// <summary>Sequences in it.</summary>
    public int Count { get; private set; }

    /// <summary>The next to run, or null.</summary>
    public Sequence? First => _waiting.First?.Waiting.First;

    /// <summary>All of them, in no useful order; invalid after the next change.</summary>
    public ReadOnlySpan<Sequence> All => _all.AsSpan(0, Count);

    /// <summary>Adds one.</summary>
    public void Add(Sequence sequence)
    {
        if (Count == _all.Length)
        {
            Array.Resize(ref _all, Count * 2);
        }

        _all[Count] = sequence;
        sequence.WaitingIndex = Count++;
        var tenant = sequence.Tenant ??= TenantOf(sequence.Request.Tenant);
        tenant.Weight = Math.Max(1, sequence.Request.TenantWeight);
        tenant.Waiting.Add(sequence);
        if (tenant.HeapIndex < 0)
        {
            tenant.Served = Math.Max(tenant.Served, _clock);
            _waiting.Add(tenant);
        }
    }

    /// <summary>Removes one that is in it.</summary>
    public void Remove(Sequence sequence)
    {
        var last = _all[--Count];
        _all[Count] = null!;
        if (!ReferenceEquals(last, sequence))
        {
            _all[sequence.WaitingIndex] = last;
            last.WaitingIndex = sequence.WaitingIndex;
        }

        sequence.WaitingIndex = -1;
        var tenant = sequence.Tenant!;
        tenant.Waiting.Remove(sequence);
        if (tenant.Waiting.Count == 0)
        {
            _waiting.Remove(tenant);
        }
    }

    /// <summary>Removes one because it runs now; its tenant's turn is over.</summary>
    public void Dispatch(Sequence sequence)
    {
        _clock = Math.Max(_clock, sequence.Tenant!.Served);
        Remove(sequence);
    }

    /// <summary>Counts tokens that were computed for a sequence's tenant.</summary>
    public void Charge(Sequence sequence, int tokens)
    {
        var tenant = sequence.Tenant!;
        tenant.Served += tokens * TenantQueue.TokenCost / tenant.Weight;
        if (tenant.HeapIndex >= 0)
        {
            _waiting.Reorder(tenant);
        }
    }

    /// <summary>Empties the queue and forgets the tenants.</summary>
    public void Clear()
    {
        Array.Clear(_all);
        Count = 0;
        _waiting.Clear();
        _tenants.Clear();
    }

    /// <summary>Whether every sequence and every tenant stands where it must, and nobody is counted twice or not at all.</summary>
    public bool IsOrdered()
    {
        var counted = 0;
        foreach (var tenant in _waiting.All)
        {
            counted += tenant.Waiting.Count;
            if (tenant.Waiting.Count == 0 || !tenant.Waiting.IsOrdered())
            {
                return false;
            }
        }

        for (var i = 0; i < Count; i++)
        {
            if (_all[i].WaitingIndex != i || _all[i].Tenant is not { HeapIndex: >= 0 })
            {
                return false;
            }
        }

        return counted == Count && _waiting.IsOrdered();
    }

    private TenantQueue TenantOf(string name)
    {
        if (_tenants.TryGetValue(name, out var tenant))
        {
            return tenant;
        }

        if (_tenants.Count >= TenantsKept)
        {
            ForgetAbsent();
        }

        return _tenants[name] = new TenantQueue(++_lastTenant) { Served = _clock };
    }

    /// <summary>Forgets tenants that wait for nothing and are owed nothing: a new start at the clock is the same for them.</summary>
    private void ForgetAbsent()
    {
        foreach (var (name, tenant) in _tenants)
        {
            if (tenant.HeapIndex < 0 && tenant.Served <= _clock)
            {
                _tenants.Remove(name);
            }
        }
    }
}
