namespace ModelServe.Engine.Planning;

/// <summary>The waiting requests of one tenant, and how much it has been served for its weight.</summary>
/// <remarks>Thread: engine thread only.</remarks>
internal sealed class TenantQueue : IHeapEntry<TenantQueue>
{
    /// <summary>What one token costs a tenant of weight 1; divisible by every weight up to 16, so that those share without rest.</summary>
    public const long TokenCost = 720_720;

    private readonly long _order;

    /// <summary>Makes the queue of a tenant.</summary>
    /// <param name="order">Counts tenants up; decides between equals.</param>
    public TenantQueue(long order) => _order = order;

    /// <summary>Its waiting requests: higher tier first, then higher priority, then earlier arrival.</summary>
    public IndexedHeap<Sequence> Waiting { get; } = new(16);

    /// <summary>Tokens that were computed for it, times <see cref="TokenCost"/>, over its weight; never behind the clock when it comes back.</summary>
    public long Served { get; set; }

    /// <summary>Its share against others, at least 1.</summary>
    public int Weight { get; set; } = 1;

    /// <inheritdoc />
    public int HeapIndex { get; set; } = -1;

    /// <inheritdoc />
    public bool ComesBefore(TenantQueue other) => Served != other.Served ? Served < other.Served : _order < other._order;
}
