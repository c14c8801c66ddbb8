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

    /// <summary>The terminal event.</summary>
    public static GenerationEvent Ending(AdmittedRequest request, OutputEnding ending)
    {
        Usage usage = UsageOf(request);
        usage.ReasoningTokens = ending.ReasoningTokens;
        if (ending.Failure is { } code)
        {
            return new GenerationEvent
            {
                Error = new Error { Code = code, Message = ending.Message, Retryable = ending.Retryable, Usage = usage },
            };
        }

        var finished = new Finished
        {
            Reason = ending.ToolCalls > 0 && ending.Reason == EndReason.Stop ? WireReason.ToolCalls : Reason(ending.Reason),
            Usage = usage,
            Timings = TimingsOf(request.Stream.Timings),
        };
        if (ending.StopString is { } text)
        {
            finished.StopString = text;
        }
        else if (ending.StopTokenId is { } id)
        {
            finished.StopTokenId = (uint)id;
        }

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
