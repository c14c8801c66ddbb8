using System.Collections.Concurrent;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Health;

/// <summary>Every accepted request whose call has not ended yet. Thread-safe.</summary>
internal sealed class LiveRequests
{
    private readonly ConcurrentDictionary<(string Model, string Id), TokenStream> _streams = new();
    private volatile TaskCompletionSource? _whenIdle;

    /// <summary>How many there are.</summary>
    public int Count => _streams.Count;

    /// <summary>An accepted request enters.</summary>
    public void Add(ServedModel model, TokenStream stream) => _streams[(model.Name, stream.RequestId)] = stream;

    /// <summary>Its call is over.</summary>
    public void Remove(ServedModel model, TokenStream stream)
    {
        // The pair is compared: a later request may have the same id once the engine has let go of the earlier one.
        _ = _streams.TryRemove(new KeyValuePair<(string, string), TokenStream>((model.Name, stream.RequestId), stream));
        if (_streams.IsEmpty)
        {
            _whenIdle?.TrySetResult();
        }
    }

    /// <summary>Asks the engines to end every live request.</summary>
    /// <returns>How many were asked.</returns>
    public int EndAll(FinishReason reason)
    {
        int count = 0;
        foreach (TokenStream stream in _streams.Values)
        {
            stream.Cancel(reason);
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
        if (_streams.IsEmpty)
        {
            waiting.TrySetResult();
        }

        return waiting.Task;
    }
}
