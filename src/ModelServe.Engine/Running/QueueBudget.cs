using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Counts waiting requests and their prompt tokens as one value, so that both limits hold at every moment.</summary>
/// <remarks>
/// Requests sit in the upper 24 bits and tokens in the lower 40 of one word that is changed by compare-and-swap: of two
/// requests that race for the last place exactly one gets it, and several that belong together get all their places or none.
/// Prompts larger than the token limit pass when nothing waits. Flex requests find the queue full when it is half full, so
/// that they are the first to be turned away.
/// </remarks>
internal sealed class QueueBudget
{
    private const int TokenBits = 40;
    private const long TokenMask = (1L << TokenBits) - 1;

    private readonly int _maxRequests;
    private readonly long _maxTokens;
    private long _state;

    /// <summary>Makes an empty count with the given limits.</summary>
    public QueueBudget(int maxRequests, long maxTokens)
    {
        _maxRequests = maxRequests;
        _maxTokens = maxTokens;
    }

    /// <summary>What came of a reservation.</summary>
    public enum Outcome
    {
        /// <summary>The place is taken.</summary>
        Reserved,

        /// <summary>As many requests wait as may.</summary>
        TooManyRequests,

        /// <summary>As many tokens wait as may.</summary>
        TooManyTokens,
    }

    /// <summary>Requests that wait.</summary>
    public int Requests => (int)(Volatile.Read(ref _state) >> TokenBits);

    /// <summary>Prompt tokens that wait.</summary>
    public long Tokens => Volatile.Read(ref _state) & TokenMask;

    /// <summary>Requests of a tier that may wait, whoever waits.</summary>
    public int RequestLimit(ServiceTier tier) => tier == ServiceTier.Flex ? (_maxRequests + 1) / 2 : _maxRequests;

    /// <summary>Prompt tokens that may wait for one more request of a tier.</summary>
    public long TokenLimit(ServiceTier tier) => tier == ServiceTier.Flex ? (_maxTokens + 1) / 2 : _maxTokens;

    /// <summary>Takes places for requests of that many tokens together, or says which limit forbids it. Any thread.</summary>
    public Outcome Reserve(int requests, long tokens, ServiceTier tier)
    {
        var seen = Volatile.Read(ref _state);
        while (true)
        {
            var waiting = seen & TokenMask;
            if ((seen >> TokenBits) + requests > RequestLimit(tier))
            {
                return Outcome.TooManyRequests;
            }

            // The word has no room for more, however large the one prompt is that may pass alone.
            if (waiting + tokens > (waiting > 0 ? TokenLimit(tier) : TokenMask))
            {
                return Outcome.TooManyTokens;
            }

            var before = Interlocked.CompareExchange(ref _state, seen + ((long)requests << TokenBits) + tokens, seen);
            if (before == seen)
            {
                return Outcome.Reserved;
            }

            seen = before;
        }
    }

    /// <summary>Gives one request's place back. Any thread.</summary>
    public void Release(int tokens) => Interlocked.Add(ref _state, -((1L << TokenBits) + tokens));
}
