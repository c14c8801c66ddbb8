using System.Collections.Concurrent;

namespace ModelServe.Engine.Running;

/// <summary>How much of the queue is whose, as admission needs to know it to foretell a wait. Any thread; an estimate while others change it.</summary>
internal sealed class TenantBacklogs
{
    private readonly ConcurrentDictionary<string, Backlog> _byTenant = new(StringComparer.Ordinal);
    private long _waitingWeight;

    /// <summary>Prompt tokens that run before a new request of a tenant: all that wait, or its own and what others get meanwhile.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="weight">Its share.</param>
    /// <param name="queued">Prompt tokens of all.</param>
    public long Ahead(string tenant, int weight, long queued)
    {
        var own = _byTenant.TryGetValue(tenant, out var backlog) ? backlog.Tokens : 0;
        var share = Math.Max(1, Volatile.Read(ref _waitingWeight) / (double)Math.Max(1, weight));
        return Math.Min(queued, (long)(own * share));
    }

    /// <summary>A request begins to wait.</summary>
    public Backlog Enter(string tenant, int weight, int tokens)
    {
        var backlog = _byTenant.GetOrAdd(tenant, static (_, owner) => new Backlog(owner), this);
        backlog.Add(Math.Max(1, weight), tokens);
        return backlog;
    }

    /// <summary>What waits of one tenant.</summary>
    internal sealed class Backlog(TenantBacklogs owner)
    {
        private int _requests;
        private int _weight;
        private long _tokens;

        /// <summary>Its prompt tokens.</summary>
        public long Tokens => Volatile.Read(ref _tokens);

        /// <summary>One more waits.</summary>
        public void Add(int weight, int tokens)
        {
            Interlocked.Add(ref _tokens, tokens);
            if (Interlocked.Increment(ref _requests) == 1)
            {
                Volatile.Write(ref _weight, weight);
                Interlocked.Add(ref owner._waitingWeight, weight);
            }
        }

        /// <summary>One waits no more.</summary>
        public void Remove(int tokens)
        {
            Interlocked.Add(ref _tokens, -tokens);
            var weight = Volatile.Read(ref _weight);
            if (Interlocked.Decrement(ref _requests) == 0)
            {
                Interlocked.Add(ref owner._waitingWeight, -weight);
            }
        }
    }
}
