using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.Health;
using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Api.Points;
using ModelServe.Api.Requests;
using ModelServe.Api.Security;
using ModelServe.Api.Tracing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Services;

/// <summary>The door: a checked request goes to its engine with a deadline, or is refused before anything was written. Thread-safe.</summary>
internal sealed class RequestAdmission(
    ApiOptions options,
    LiveRequests live,
    ServerDrain drain,
    MetricsRegistry metrics,
    HealthReporter health,
    RequestTracing tracing,
    IHttpContextAccessor calls,
    TimeProvider time,
    IPipelinePoints? points = null)
{
    /// <summary>Hands a request to its engine.</summary>
    /// <param name="read">The request.</param>
    /// <param name="callDeadline">When the transport cuts the call, in UTC; <see cref="DateTime.MaxValue"/> for never.</param>
    /// <param name="request">The accepted request; the caller disposes it.</param>
    /// <param name="rejection">Why not.</param>
    public bool TryAdmit(
        ReadRequest read,
        DateTime callDeadline,
        [NotNullWhen(true)] out AdmittedRequest? request,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        bool admitted = TryAdmit([read], callDeadline, out AdmittedRequest[]? requests, out rejection);
        request = requests?[0];
        return admitted;
    }

    /// <summary>Hands the outputs of one call to their engine as a unit: all are accepted, or none and nothing is taken.</summary>
    /// <param name="reads">The outputs, at least one, of one model and tier; each with a request id of its own.</param>
    /// <param name="callDeadline">When the transport cuts the call, in UTC; <see cref="DateTime.MaxValue"/> for never.</param>
    /// <param name="requests">The accepted requests, in the same order; the caller disposes each.</param>
    /// <param name="rejection">Why not.</param>
    public bool TryAdmit(
        IReadOnlyList<ReadRequest> reads,
        DateTime callDeadline,
        [NotNullWhen(true)] out AdmittedRequest[]? requests,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        requests = null;
        ServedModel model = reads[0].Model;
        ReplicaPlacement placement = default;
        Activity?[] spans = [.. reads.Select(tracing.Start)];
        points?.Pass(PipelinePoint.Admitting, reads[0].Request.RequestId);
        Caller caller = Caller.Of(calls.HttpContext);
        KeyLease? lease = null;
        ServiceTier tier = ServiceTier.Default;
        rejection = DeadlineOf(callDeadline, out DateTimeOffset deadline)
            ?? (drain.IsDraining ? Draining() : null)
            ?? caller.TierOf(reads[0].Request.Tier, out tier)
            ?? caller.Usage?.TryTake(reads.Count, TokensOf(reads), out lease);
        if (rejection is null)
        {
            GenerationRequest[] wanted =
            [
                .. reads.Select(read => read.Request with
                {
                    Deadline = deadline, Tenant = caller.Tenant, TenantWeight = caller.Weight, Tier = tier,
                }),
            ];
            TokenStream[] streams = new TokenStream[wanted.Length];
            rejection = model.Replicas.AdmitAll(wanted, streams, out placement);
            if (rejection is null)
            {
                requests = new AdmittedRequest[streams.Length];
                ModelMetrics counts = metrics.Of(model, placement.Replica);
                IEngine engine = model.Replicas.Replicas[placement.Replica];
                for (int i = 0; i < streams.Length; i++)
                {
                    TokenStream stream = points is null ? streams[i] : new PointedStream(streams[i], points);
                    requests[i] = new AdmittedRequest(reads[i], stream, engine, placement.QueuedAhead + i, live, counts, spans[i], lease);
                    points?.Pass(PipelinePoint.Admitted, reads[i].Request.RequestId);
                }

                return true;
            }
        }

        lease?.Undo();
        foreach (Activity? span in spans)
        {
            RequestTracing.EndRefused(span, rejection);
        }

        metrics.Of(model, placement.Replica).CountRejected(rejection.Reason);
        if (rejection.Reason is RejectionReason.EngineFailed or RejectionReason.Draining)
        {
            health.Refresh();
        }

        return false;
    }

    private static long TokensOf(IReadOnlyList<ReadRequest> reads) =>
        reads.Sum(read => (long)read.Request.PromptTokenIds.Length + read.Request.MaxTokens);

    private static Rejection Draining() =>
        new(RejectionReason.Draining, "server", "no new requests while it is stopping", "a request");

    /// <summary>
    /// The engine's deadline: the call's less a margin in which the ending travels, and never later than the server's maximum,
    /// which also holds for a call whose deadline could not be read.
    /// </summary>
    private Rejection? DeadlineOf(DateTime callDeadline, out DateTimeOffset deadline)
    {
        DateTimeOffset now = time.GetUtcNow();
        deadline = now + options.Limits.Duration;
        if (callDeadline == DateTime.MaxValue)
        {
            return null;
        }

        // The transport made the call's deadline from the system's clock, which may be set while the server's runs on.
        TimeSpan left = new DateTimeOffset(callDeadline, TimeSpan.Zero) - TimeProvider.System.GetUtcNow();
        if (left <= TimeSpan.Zero)
        {
            return new Rejection(RejectionReason.DeadlinePassed, "deadline", "in the future", "passed");
        }

        TimeSpan margin = options.DeadlineMargin < left / 2 ? options.DeadlineMargin : left / 2;
        DateTimeOffset wanted = now + left - margin;
        deadline = wanted < deadline ? wanted : deadline;
        return null;
    }
}
