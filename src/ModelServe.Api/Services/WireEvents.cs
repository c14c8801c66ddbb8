using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;
using WireReason = ModelServe.V1.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>The events of a stream that are written once: acceptance and the two endings.</summary>
internal static class WireEvents
{
    /// <summary>The first event.</summary>
    public static GenerationEvent Accepted(AdmittedRequest request) => new()
    {
        Accepted = new Accepted
        {
            RequestId = request.Stream.RequestId,
            Model = request.Read.Model.Name,
            Effective = request.Read.Effective,
            PromptTokens = request.Read.Request.PromptTokenIds.Length,
            QueuedAhead = request.QueuedAhead,
        },
    };

    /// <summary>The terminal event of an output that the engine ended for that reason.</summary>
    /// <param name="request">The request, its ending read.</param>
    /// <param name="last">The engine's last delta.</param>
    /// <param name="engineFailure">Why the model is not served any more, if so.</param>
    public static GenerationEvent Ending(AdmittedRequest request, TokenDelta last, string? engineFailure)
    {
        switch (last.FinishReason)
        {
            case EndReason.Error when engineFailure is not null:
                return Failure(request, ErrorCode.EngineFailed, "The model's engine failed; the model is not served here any more.", true);
            case EndReason.Error:
                return Failure(request, ErrorCode.Internal, last.Error ?? "The request failed.", false);
            case EndReason.Drained:
                return Failure(request, ErrorCode.Drained, "The server stopped before the request ended.", true);
            case EndReason.SlowReader:
                return Failure(request, ErrorCode.SlowReader, "The client did not read its stream.", false);
            default:
                var finished = new Finished { Reason = Reason(last.FinishReason) };
                if (last.MatchedStopTokenId is { } id)
                {
                    finished.StopTokenId = (uint)id;
                }

                return Complete(request, finished);
        }
    }

    /// <summary>The terminal event of an output that a stop string ended.</summary>
    public static GenerationEvent StoppedBy(AdmittedRequest request, string stopString) =>
        Complete(request, new Finished { Reason = WireReason.Stop, StopString = stopString });

    /// <summary>The terminal event of a request that failed.</summary>
    public static GenerationEvent Failure(AdmittedRequest request, ErrorCode code, string message, bool retryable) => new()
    {
        Error = new Error { Code = code, Message = message, Retryable = retryable, Usage = UsageOf(request) },
    };

    private static GenerationEvent Complete(AdmittedRequest request, Finished finished)
    {
        finished.Usage = UsageOf(request);
        finished.Timings = TimingsOf(request.Stream.Timings);
        return new GenerationEvent { Finished = finished };
    }

    private static Usage UsageOf(AdmittedRequest request) => new()
    {
        PromptTokens = request.Read.Request.PromptTokenIds.Length,
        CompletionTokens = request.TokensSent,
        CachedPromptTokens = request.Stream.Timings.CachedPromptTokens,
    };

    private static Timings TimingsOf(RequestTimings timings)
    {
        var wire = new Timings { Preemptions = timings.Preemptions, RecomputedTokens = timings.RecomputedTokens };
        if (timings.Scheduled is { } scheduled)
        {
            wire.QueueSeconds = (scheduled - timings.Arrived).TotalSeconds;
            if (timings.FirstToken is { } settled)
            {
                wire.PrefillSeconds = (settled - scheduled).TotalSeconds;
            }
        }

        if (timings.FirstToken is { } first)
        {
            wire.FirstTokenSeconds = (first - timings.Arrived).TotalSeconds;
            if (timings.Finished is { } last)
            {
                wire.DecodeSeconds = (last - first).TotalSeconds;
            }
        }

        if (timings.Finished is { } finished)
        {
            wire.TotalSeconds = (finished - timings.Arrived).TotalSeconds;
        }

        return wire;
    }

    private static WireReason Reason(EndReason reason) => reason switch
    {
        EndReason.Stop => WireReason.Stop,
        EndReason.Length => WireReason.Length,
        EndReason.ContextFull => WireReason.ContextFull,
        EndReason.Cancelled => WireReason.Cancelled,
        EndReason.Deadline => WireReason.Deadline,
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "a reason that ends no output well"),
    };
}
