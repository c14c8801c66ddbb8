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

    /// <summary>Takes a request in, or says why not. Any thread.</summary>
    public Rejection? TryEnter(GenerationRequest request, int maxModelLength, Inbox inbox, out Sequence? sequence)
    {
        sequence = null;
        Interlocked.Increment(ref _count);
        var rejection = Reserve(request);
        if (rejection is null)
        {
            var entering = new Sequence(request, maxModelLength, inbox, _queue);
            if (_byId.TryAdd(request.RequestId, entering))
            {
                sequence = entering;
                return null;
            }

            entering.ReleasePlace();
            rejection = Duplicate(request);
        }

        CountDown();
        return rejection;
    }

    /// <summary>Lets the name of a request that ends be used again; before its reader learns of the ending.</summary>
    public void Forget(Sequence sequence)
    {
        sequence.ReleasePlace();
        _byId.TryRemove(new KeyValuePair<string, Sequence>(sequence.Request.RequestId, sequence));
    }

    /// <summary>Counts a request that was forgotten as gone; after its reader can learn of the ending.</summary>
    public void CountDown()
    {
        Interlocked.Decrement(ref _count);
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

    private Rejection? Reserve(GenerationRequest request)
    {
        if (Failure is { } failure)
        {
            return new Rejection(RejectionReason.EngineFailed, "model", "a working engine", Shorten(failure));
        }

        if (Draining)
        {
            return new Rejection(RejectionReason.Draining, "server", "no new requests while it stops", "a new request");
        }

        if (_byId.ContainsKey(request.RequestId))
        {
            return Duplicate(request);
        }

        return _queue.Reserve(request.PromptTokenIds.Length) switch
        {
            QueueBudget.Outcome.TooManyRequests => Full(
                RejectionReason.QueueFull, "max_queued_requests", $"at most {Text(_options.MaxQueuedRequests)} requests wait", _queue.Requests + 1L),
            QueueBudget.Outcome.TooManyTokens => Full(
                RejectionReason.QueuedTokensFull,
                "max_queued_tokens",
                $"at most {Text(_options.MaxQueuedTokens)} prompt tokens wait",
                _queue.Tokens + request.PromptTokenIds.Length),
            _ => null,
        };
    }

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
