using System.Collections.Concurrent;
using System.Globalization;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Every request between admission and its one ending, by name; knows when the last has ended.</summary>
/// <remarks>
/// Entered by any thread, left by the engine thread. A request is counted before it is checked against draining, and
/// draining is set before the count is looked at: no request slips in after the drain was seen to be complete.
/// </remarks>
internal sealed class LiveRequests
{
    private readonly ConcurrentDictionary<string, Sequence> _byId = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly QueueBudget _queue;
    private readonly EngineOptions _options;
    private int _count;
    private int _draining;
    private string? _failure;

    /// <summary>Makes an empty registry.</summary>
    public LiveRequests(EngineOptions options)
    {
        _options = options;
        _queue = new QueueBudget(options.MaxQueuedRequests, options.MaxQueuedTokens);
    }

    /// <summary>Requests that have not ended.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Whether no more are taken in because the server stops.</summary>
    public bool Draining => Volatile.Read(ref _draining) != 0;

    /// <summary>Why no more are taken in for good, or null.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Complete once draining has begun and every request has ended.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Prompt tokens that wait for their first slot.</summary>
    public long QueuedTokens => _queue.Tokens;

    /// <summary>Requests that wait for their first slot.</summary>
    public int QueuedRequests => _queue.Requests;

    /// <summary>All of them at about this moment.</summary>
    public IEnumerable<Sequence> All => _byId.Values;

    /// <summary>Takes all of some requests in, or none and says why. Any thread.</summary>
    /// <param name="requests">At least one, of one tenant and tier.</param>
    /// <param name="sequences">Receives a sequence for each request; of the same length.</param>
    /// <param name="maxModelLength">Longest sequence in tokens.</param>
    /// <param name="inbox">Where their cancellations go.</param>
    public Rejection? TryEnter(
        ReadOnlySpan<GenerationRequest> requests, Span<Sequence> sequences, int maxModelLength, Inbox inbox)
    {
        Interlocked.Add(ref _count, requests.Length);
        var rejection = Reserve(requests);
        if (rejection is not null)
        {
            CountDown(requests.Length);
            return rejection;
        }

        for (var i = 0; i < requests.Length; i++)
        {
            sequences[i] = new Sequence(requests[i], maxModelLength, inbox, _queue);
        }

        for (var i = 0; i < requests.Length; i++)
        {
            if (!_byId.TryAdd(requests[i].RequestId, sequences[i]))
            {
                rejection = Duplicate(requests[i]);
                Leave(sequences, entered: i);
                return rejection;
            }
        }

        return null;
    }

    /// <summary>Lets the name of a request that ends be used again; before its reader learns of the ending.</summary>
    public void Forget(Sequence sequence)
    {
        sequence.ReleasePlace();
        _byId.TryRemove(new KeyValuePair<string, Sequence>(sequence.Request.RequestId, sequence));
    }

    /// <summary>Counts requests that were forgotten as gone; after their readers can learn of the ending.</summary>
    public void CountDown(int requests = 1)
    {
        Interlocked.Add(ref _count, -requests);
        CompleteIfDrained();
    }

    /// <summary>The live request of that name, or null.</summary>
    public Sequence? Find(string requestId) => _byId.GetValueOrDefault(requestId);

    /// <summary>Refuses new requests from now on.</summary>
    public void BeginDrain()
    {
        Interlocked.Exchange(ref _draining, 1);
        CompleteIfDrained();
    }

    /// <summary>Refuses new requests for good; the first reason stays.</summary>
    public void Fail(string reason) => Interlocked.CompareExchange(ref _failure, reason, null);

    private void Leave(Span<Sequence> sequences, int entered)
    {
        foreach (var sequence in sequences[..entered])
        {
            _byId.TryRemove(new KeyValuePair<string, Sequence>(sequence.Request.RequestId, sequence));
        }

        foreach (var sequence in sequences)
        {
            sequence.ReleasePlace();
        }

        CountDown(sequences.Length);
    }

    private Rejection? Reserve(ReadOnlySpan<GenerationRequest> requests)
    {
        if (Failure is { } failure)
        {
            return new Rejection(RejectionReason.EngineFailed, "model", "a working engine", Shorten(failure));
        }

        if (Draining)
        {
            return new Rejection(RejectionReason.Draining, "server", "no new requests while it stops", "a new request");
        }

        long tokens = 0;
        foreach (var request in requests)
        {
            if (_byId.ContainsKey(request.RequestId))
            {
                return Duplicate(request);
            }

            tokens += request.PromptTokenIds.Length;
        }

        var tier = requests[0].Tier;
        return _queue.Reserve(requests.Length, tokens, tier) switch
        {
            QueueBudget.Outcome.TooManyRequests => Full(
                RejectionReason.QueueFull,
                "max_queued_requests",
                $"at most {Text(_queue.RequestLimit(tier))} requests wait{Whom(tier)}",
                _queue.Requests + requests.Length),
            QueueBudget.Outcome.TooManyTokens => Full(
                RejectionReason.QueuedTokensFull,
                "max_queued_tokens",
                $"at most {Text(_queue.TokenLimit(tier))} prompt tokens wait{Whom(tier)}",
                _queue.Tokens + tokens),
            _ => null,
        };
    }

    private static string Whom(ServiceTier tier) => tier == ServiceTier.Flex ? " when a flex request comes" : "";

    private Rejection Full(RejectionReason reason, string field, string limit, long value)
    {
        var rejection = new Rejection(reason, field, limit, Text(value));
        return rejection with { RetryAfter = _options.QueueRetryAfter };
    }

    private static Rejection Duplicate(GenerationRequest request) => new(
        RejectionReason.DuplicateRequest, "request_id", "a name no live request has", Shorten(request.RequestId));

    private static string Shorten(string text) => text.Length <= 64 ? text : text[..64];

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private void CompleteIfDrained()
    {
        if (Draining && Count == 0)
        {
            _drained.TrySetResult();
        }
    }
}
