using System.Collections.Concurrent;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Health;

/// <summary>Every accepted request whose call has not ended yet. Thread-safe.</summary>
internal sealed class LiveRequests
{
    // By the request itself: a later one may have the same id once the engine has let go of the earlier one.
    private readonly ConcurrentDictionary<AdmittedRequest, byte> _requests = new(ReferenceEqualityComparer.Instance);
    private volatile TaskCompletionSource? _whenIdle;

    /// <summary>How many there are.</summary>
    public int Count => _requests.Count;

    /// <summary>All of them at about this moment, in no order.</summary>
    public IEnumerable<AdmittedRequest> All => _requests.Keys;

    /// <summary>An accepted request enters.</summary>
    public void Add(AdmittedRequest request) => _requests[request] = 0;

    /// <summary>Its call is over.</summary>
    public void Remove(AdmittedRequest request)
    {
        _ = _requests.TryRemove(request, out _);
        if (_requests.IsEmpty)
        {
            _whenIdle?.TrySetResult();
        }
    }

    /// <summary>Asks the engines to end every live request.</summary>
    /// <returns>How many were asked.</returns>
    public int EndAll(FinishReason reason)
    {
        int count = 0;
        foreach (AdmittedRequest request in _requests.Keys)
        {
            request.Stream.Cancel(reason);
            count++;
        }

        return count;
    }

    /// <summary>Completes once no request is live; only meaningful while none is admitted.</summary>
    public Task WhenIdleAsync()
    {
        TaskCompletionSource source = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource waiting = Interlocked.CompareExchange(ref _whenIdle, source, null) ?? source;
        // Looked at after the source is in place, so that the last removal cannot slip between.
        if (_requests.IsEmpty)
        {
            waiting.TrySetResult();
        }

        return waiting.Task;
    }
}
