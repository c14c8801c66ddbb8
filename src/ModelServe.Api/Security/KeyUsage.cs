using System.Globalization;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Security;

/// <summary>What one key has used up of its limits: live sequences, and two buckets that fill within a minute. Thread-safe, exact.</summary>
/// <remarks>
/// Tokens are counted as the dialect's rate-limit headers do: prompt and max_tokens are taken at admission, at most a full
/// bucket; what the request did not use comes back at its end, and what it used beyond is taken then.
/// </remarks>
internal sealed class KeyUsage(TimeProvider time)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private int? _maxConcurrent;
    private int _live;
    private Bucket _requests;
    private Bucket _tokens;
    private long _filledAt;

    /// <summary>Sequences that are live.</summary>
    public int Live
    {
        get
        {
            lock (_lock)
            {
                return _live;
            }
        }
    }

    /// <summary>Puts the limits of a key in force; what is used up stays used up.</summary>
    public void Apply(ApiKey key)
    {
        lock (_lock)
        {
            Fill();
            _maxConcurrent = key.MaxConcurrent;
            _requests.SetLimit(key.RequestsPerMinute);
            _tokens.SetLimit(key.TokensPerMinute);
        }
    }

    /// <summary>Takes what a request of some sequences needs, all or nothing.</summary>
    /// <param name="sequences">Outputs that it asks for, at least 1.</param>
    /// <param name="tokens">Prompt and output tokens of all of them at most.</param>
    /// <param name="lease">What was taken.</param>
    /// <returns>Null, or the limit that forbids it and when to come back.</returns>
    public Rejection? TryTake(int sequences, long tokens, out KeyLease? lease)
    {
        lease = null;
        lock (_lock)
        {
            Fill();
            if (_maxConcurrent is { } limit && _live + sequences > limit)
            {
                return new Rejection(
                    RejectionReason.KeyConcurrency,
                    "max_concurrent",
                    string.Create(CultureInfo.InvariantCulture, $"at most {limit} live at once for this key"),
                    string.Create(CultureInfo.InvariantCulture, $"{_live + sequences}"));
            }

            if (!_requests.Holds(1))
            {
                return Short(RejectionReason.KeyRequestRate, "requests_per_minute", _requests, 1);
            }

            long reserved = _tokens.Limit is { } most ? Math.Min(tokens, most) : tokens;
            if (!_tokens.Holds(reserved))
            {
                return Short(RejectionReason.KeyTokenRate, "tokens_per_minute", _tokens, reserved);
            }

            _live += sequences;
            _requests.Take(1);
            _tokens.Take(reserved);
            lease = new KeyLease(this, sequences, reserved);
            return null;
        }
    }

    /// <summary>What the rate-limit headers tell; null where neither rate is limited.</summary>
    public RateLimitState? State()
    {
        lock (_lock)
        {
            Fill();
            return _requests.Limit is null && _tokens.Limit is null
                ? null
                : new RateLimitState(
                    _requests.Limit, _requests.Whole, _requests.UntilFull, _tokens.Limit, _tokens.Whole, _tokens.UntilFull);
        }
    }

    /// <summary>Gives everything of a request back that the engine did not take.</summary>
    internal void Undo(int sequences, long reserved)
    {
        lock (_lock)
        {
            _live -= sequences;
            _requests.Take(-1);
            _tokens.Take(-reserved);
        }
    }

    /// <summary>One sequence of a request is over.</summary>
    /// <param name="correction">Tokens that come back (below zero: that are taken now), with the last one.</param>
    internal void EndOne(long correction)
    {
        lock (_lock)
        {
            _live--;
            _tokens.Take(-correction);
        }
    }

    private static Rejection Short(RejectionReason reason, string field, Bucket bucket, long wanted) =>
        new(
            reason,
            field,
            string.Create(CultureInfo.InvariantCulture, $"at most {bucket.Limit} in a minute for this key"),
            string.Create(CultureInfo.InvariantCulture, $"{wanted} more with {bucket.Whole} left"))
        {
            RetryAfter = bucket.Until(wanted),
        };

    private void Fill()
    {
        long now = time.GetTimestamp();
        TimeSpan gone = time.GetElapsedTime(_filledAt, now);
        _filledAt = now;
        _requests.Fill(gone);
        _tokens.Fill(gone);
    }

    private struct Bucket
    {
        private double _content;

        public long? Limit { get; private set; }

        public readonly long Whole => (long)Math.Max(0, Math.Floor(_content));

        public readonly TimeSpan UntilFull => Limit is { } limit ? Until(limit) : TimeSpan.Zero;

        /// <summary>A new limit fills the bucket as far as the old one was full.</summary>
        public void SetLimit(long? limit)
        {
            _content = limit is null ? 0 : Limit is { } before ? limit.Value - Math.Min(before - _content, limit.Value) : limit.Value;
            Limit = limit;
        }

        public readonly bool Holds(long amount) => Limit is null || _content >= amount;

        public void Take(long amount)
        {
            if (Limit is { } limit)
            {
                _content = Math.Min(limit, _content - amount);
            }
        }

        public void Fill(TimeSpan gone)
        {
            if (Limit is { } limit)
            {
                _content = Math.Min(limit, _content + (gone / Minute * limit));
            }
        }

        public readonly TimeSpan Until(long amount) =>
            Limit is { } limit && amount > _content
                ? TimeSpan.FromMilliseconds(Math.Ceiling((amount - _content) / limit * Minute.TotalMilliseconds))
                : TimeSpan.Zero;
    }
}
