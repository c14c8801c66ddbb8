using System.Diagnostics;
using ModelServe.Api.Health;
using ModelServe.Api.Metrics;
using ModelServe.Api.Requests;
using ModelServe.Api.Security;
using ModelServe.Api.Tracing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Services;

/// <summary>One accepted request for the length of its call; disposing gives everything back exactly once.</summary>
internal sealed class AdmittedRequest : IDisposable
{
    private readonly LiveRequests _live;
    private readonly Activity? _span;
    private readonly KeyLease? _lease;
    private bool _released;

    /// <summary>Takes over the stream, the span and its part of the lease, and enters the request among the live ones.</summary>
    public AdmittedRequest(
        ReadRequest read, TokenStream stream, IEngine engine, int queuedAhead, LiveRequests live, ModelMetrics metrics, Activity? span, KeyLease? lease)
    {
        Read = read;
        Stream = stream;
        Engine = engine;
        QueuedAhead = queuedAhead;
        Metrics = metrics;
        _live = live;
        _span = span;
        _lease = lease;
        live.Add(this);
        metrics.CountAccepted(read.Request.PromptTokenIds.Length, read.Request.MaxTokens);
    }

    /// <summary>The request as it was checked.</summary>
    public ReadRequest Read { get; }

    /// <summary>Its tokens.</summary>
    public TokenStream Stream { get; }

    /// <summary>The engine that took it: one replica of its model.</summary>
    public IEngine Engine { get; }

    /// <summary>Requests that waited for the same engine when it was admitted.</summary>
    public int QueuedAhead { get; }

    /// <summary>The counts of its model and engine.</summary>
    public ModelMetrics Metrics { get; }

    /// <summary>Why it ended; <see cref="FinishReason.Cancelled"/> until the pump knows better, for a call that breaks off.</summary>
    public FinishReason Ending { get; set; } = FinishReason.Cancelled;

    /// <summary>Whether the engine's last delta was read, so that the timings are complete.</summary>
    public bool EndingWasRead { get; set; }

    /// <summary>Tokens sent so far.</summary>
    public int TokensSent { get; set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_released)
        {
            return;
        }

        _released = true;
        Stream.Dispose();
        Metrics.CountEnded(
            Ending, Read.Operation, Read.Request.PromptTokenIds.Length, TokensSent, EndingWasRead ? Stream.Timings : null);
        RequestTracing.End(_span, this);
        _lease?.EndOne((long)Read.Request.PromptTokenIds.Length + TokensSent);
        _live.Remove(this);
    }
}
