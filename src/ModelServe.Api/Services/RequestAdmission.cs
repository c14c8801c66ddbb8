using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using ModelServe.Api.Health;
using ModelServe.Api.Metrics;
using ModelServe.Api.Points;
using ModelServe.Api.Requests;
using ModelServe.Api.Tracing;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Services;

/// <summary>The door: a checked request goes to its engine with a deadline, or is refused before anything was written. Thread-safe.</summary>
internal sealed class RequestAdmission(
    ApiOptions options,
    LiveRequests live,
    ServerDrain drain,
    MetricsRegistry metrics,
    HealthReporter health,
    RequestTracing tracing,
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
        request = null;
        ModelMetrics counts = metrics.Of(read.Model);
        Activity? span = tracing.Start(read);
        points?.Pass(PipelinePoint.Admitting, read.Request.RequestId);
        rejection = DeadlineOf(callDeadline, out DateTimeOffset deadline) ?? (drain.IsDraining ? Draining() : null);
        if (rejection is null)
        {
            int ahead = read.Model.Engine.Status.Waiting;
            AdmissionResult result = read.Model.Engine.Admit(read.Request with { Deadline = deadline });
            if (result.IsAccepted(out TokenStream? stream, out rejection))
            {
                stream = points is null ? stream : new PointedStream(stream, points);
                request = new AdmittedRequest(read, stream, ahead, live, counts, span);
                points?.Pass(PipelinePoint.Admitted, read.Request.RequestId);
                return true;
            }
        }

        RequestTracing.EndRefused(span, rejection);
        counts.CountRejected(rejection.Reason);
        if (rejection.Reason is RejectionReason.EngineFailed or RejectionReason.Draining)
        {
            health.Refresh();
        }

        return false;
    }

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
