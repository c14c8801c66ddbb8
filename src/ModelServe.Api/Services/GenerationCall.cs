using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Metrics;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>What every gRPC call that generates does with a request that was read: admit it, pump it, tell how it broke off.</summary>
/// <remarks>The events are this server's own; a facade gives a writer that turns them into its messages. Thread-safe.</remarks>
internal sealed class GenerationCall(
    RequestAdmission admission, MetricsRegistry metrics, ApiOptions options, TimeProvider time, ILogger<GenerationCall> logger)
{
    /// <summary>HTTP/2's word to a client that makes the server hold too much; gRPC clients report RESOURCE_EXHAUSTED.</summary>
    private const int EnhanceYourCalm = 0xb;

    /// <summary>Refuses a request that could not be read.</summary>
    /// <param name="model">The model it names, for the counts.</param>
    /// <param name="rejection">Why; null lets it pass.</param>
    public void ThrowIf(string model, Rejection? rejection)
    {
        if (rejection is not null)
        {
            metrics.CountRejected(model, rejection.Reason);
            throw RejectionStatus.ToException(rejection);
        }
    }

    /// <summary>Runs a request to its end, its events written in order. A call that broke off is told by the context's status.</summary>
    /// <param name="read">The request.</param>
    /// <param name="writer">What takes the events.</param>
    /// <param name="context">The call.</param>
    /// <param name="rename">A refusal in the names of the client's contract; null where that is this server's own.</param>
    /// <exception cref="RpcException">It was refused.</exception>
    public async Task RunAsync(
        ReadRequest read, IServerStreamWriter<GenerationEvent> writer, ServerCallContext context, Func<Rejection, Rejection>? rename = null)
    {
        Rejection? refused;
        try
        {
            (read, refused) = await GrammarBinder.BindAsync(read, CallerOf(context), context.CancellationToken);
        }
        catch (OperationCanceledException)
        {
            throw new RpcException(CutShort(context));
        }

        ThrowIf(read.Model.Name, refused is not null && rename is not null ? rename(refused) : refused);
        if (!admission.TryAdmit(read, context.Deadline, out AdmittedRequest? request, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rename is null ? rejection : rename(rejection));
        }

        HttpContext http = context.GetHttpContext();
        using (request)
        using (var pump = new ResponsePump(
            request, new EventWriter(writer, request.Read), options.Limits.StalledWrite, () => CutOff(http), time, logger))
        {
            if (!await pump.RunAsync(context.CancellationToken))
            {
                context.Status = BrokenOff(request, context);
            }
        }
    }

    /// <summary>Runs a request to its end and answers it once; a failure after acceptance is a status.</summary>
    public async Task<GenerationResult> CollectAsync(ReadRequest read, ServerCallContext context)
    {
        var collector = new ResultCollector();
        await RunAsync(read, collector, context);
        return context.Status.StatusCode == StatusCode.OK ? collector.Result() : throw new RpcException(context.Status);
    }

    /// <summary>What tells one caller from another; null for one without a credential.</summary>
    public static string? CallerOf(ServerCallContext context) => context.RequestHeaders.GetValue("authorization");

    private static Status BrokenOff(AdmittedRequest request, ServerCallContext context)
    {
        if (request.Ending == EndReason.SlowReader)
        {
            return new Status(StatusCode.ResourceExhausted, "The client did not read its stream.");
        }

        Status cut = CutShort(context);
        request.Ending = cut.StatusCode == StatusCode.DeadlineExceeded ? EndReason.Deadline : request.Ending;
        return cut;
    }

    private static Status CutShort(ServerCallContext context) =>
        new DateTimeOffset(context.Deadline, TimeSpan.Zero) <= TimeProvider.System.GetUtcNow()
            ? new Status(StatusCode.DeadlineExceeded, "The deadline passed.")
            : new Status(StatusCode.Cancelled, "The call was cancelled.");

    private static void CutOff(HttpContext http)
    {
        if (http.Features.Get<IHttpResetFeature>() is { } reset)
        {
            reset.Reset(EnhanceYourCalm);
        }
        else
        {
            http.Abort();
        }
    }
}
