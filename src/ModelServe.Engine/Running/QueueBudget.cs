namespace ModelServe.Engine.Running;

/// <summary>Counts waiting requests and their prompt tokens as one value, so that both limits hold at every moment.</summary>
/// <remarks>
/// Requests sit in the upper 24 bits and tokens in the lower 40 of one word that is changed by compare-and-swap: of two
/// requests that race for the last place exactly one gets it. A prompt larger than the token limit passes when nothing waits.
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

    /// <summary>Takes a place for one request of that many tokens, or says which limit forbids it. Any thread.</summary>
    public Outcome Reserve(int tokens)
    {
        var seen = Volatile.Read(ref _state);
        while (true)
        {
            var waiting = seen & TokenMask;
            if ((seen >> TokenBits) >= _maxRequests)
            {
                return Outcome.TooManyRequests;
            }

            if (waiting > 0 && waiting + tokens > _maxTokens)
            {
                return Outcome.TooManyTokens;
            }

            var before = Interlocked.CompareExchange(ref _state, seen + (1L << TokenBits) + tokens, seen);
            if (before == seen)
            {
                return Outcome.Reserved;
            }

            seen = before;
        }
    }

    /// <summary>Gives a place back. Any thread.</summary>
    public void Release(int tokens) => Interlocked.Add(ref _state, -((1L << TokenBits) + tokens));
}
