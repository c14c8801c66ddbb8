using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.Metrics;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Tracing;

/// <summary>One span a request, after OpenTelemetry's conventions for generative models. Costs one test while nobody listens. Thread-safe.</summary>
/// <remarks>
/// The parent is the caller's traceparent alone, not a span of the web server's, so that its sampling decision holds. What a span
/// carries is sizes, times and names; prompts and outputs never.
/// </remarks>
internal sealed class RequestTracing(IHttpContextAccessor calls)
{
    private static readonly ActivitySource Source = new(RequestSpans.SourceName, SoftwareVersion.Version);

    /// <summary>Starts the span of a request that has been read.</summary>
    /// <returns>Null when nobody listens, or when it is not sampled.</returns>
    public Activity? Start(ReadRequest read)
    {
        if (!Source.HasListeners())
        {
            return null;
        }

        Activity? around = Activity.Current;
        Activity.Current = null;
        try
        {
            Activity? span = Source.StartActivity($"{read.Operation} {read.Model.Name}", ActivityKind.Server, ParentOf(calls.HttpContext));
            if (span is { IsAllDataRequested: true })
            {
                span.SetTag("gen_ai.operation.name", read.Operation)
                    .SetTag("gen_ai.provider.name", GenAiMetrics.Provider)
                    .SetTag("gen_ai.request.model", read.Model.Name)
                    .SetTag("gen_ai.request.max_tokens", read.Request.MaxTokens)
                    .SetTag("gen_ai.request.temperature", read.Request.Sampling.Temperature)
                    .SetTag("gen_ai.request.top_p", read.Request.Sampling.TopP)
                    .SetTag("gen_ai.response.model", read.Model.Name)
                    .SetTag("gen_ai.response.id", read.Request.RequestId);
            }

            return span;
        }
        finally
        {
            Activity.Current = around;
        }
    }

    /// <summary>Ends the span of a request that the engine did not take.</summary>
    public static void EndRefused(Activity? span, Rejection rejection)
    {
        if (span is not null)
        {
            span.SetTag("error.type", rejection.Reason.ToString()).SetStatus(ActivityStatusCode.Error);
            Stop(span);
        }
    }

    /// <summary>Ends the span of a request that is over.</summary>
    public static void End(Activity? span, AdmittedRequest request)
    {
        if (span is null)
        {
            return;
        }

        if (span.IsAllDataRequested)
        {
            span.SetTag("gen_ai.usage.input_tokens", request.Read.Request.PromptTokenIds.Length)
                .SetTag("gen_ai.usage.output_tokens", request.TokensSent)
                .SetTag("gen_ai.response.finish_reasons", new[] { WordOf(request.Ending) });
            if (request.EndingWasRead)
            {
                SetTimes(span, request.Stream.Timings);
            }

            if (GenAiMetrics.ErrorType(request.Ending) is { } error)
            {
                span.SetTag("error.type", error).SetStatus(ActivityStatusCode.Error);
            }
        }

        Stop(span);
    }

    private static void SetTimes(Activity span, RequestTimings timings)
    {
        span.SetTag("gen_ai.usage.cache_read.input_tokens", timings.CachedPromptTokens);
        if (timings.Scheduled is { } scheduled)
        {
            span.SetTag("gen_ai.latency.time_in_queue", (scheduled - timings.Arrived).TotalSeconds);
        }

        if (timings.FirstToken is { } first)
        {
            span.SetTag("gen_ai.latency.time_to_first_token", (first - timings.Arrived).TotalSeconds);
            if (timings.Finished is { } finished)
            {
                span.SetTag("gen_ai.latency.time_in_model_decode", (finished - first).TotalSeconds);
            }
        }
    }

    private static string WordOf(FinishReason ending) => ending switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length or FinishReason.ContextFull => "length",
        FinishReason.Error or FinishReason.Exhausted => "error",
        _ => "abort",
    };

    private static ActivityContext ParentOf(HttpContext? call) =>
        call is not null && ActivityContext.TryParse(
            call.Request.Headers.TraceParent, call.Request.Headers.TraceState, isRemote: true, out ActivityContext parent)
            ? parent
            : default;

    /// <summary>Ends a span, whatever is current here staying current.</summary>
    private static void Stop(Activity span)
    {
        Activity? around = Activity.Current;
        span.Stop();
        Activity.Current = around;
    }
}
