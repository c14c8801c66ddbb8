using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>Text generation over gRPC: read, admit, pump. Thread-safe; one instance serves every call.</summary>
internal sealed class InferenceService(
    RequestReader reader,
    RequestAdmission admission,
    MetricsRegistry metrics,
    ApiOptions options,
    TimeProvider time,
    ILogger<InferenceService> logger)
    : Inference.InferenceBase
{
    /// <summary>HTTP/2's word to a client that makes the server hold too much; gRPC clients report RESOURCE_EXHAUSTED.</summary>
    private const int EnhanceYourCalm = 0xb;

    /// <inheritdoc/>
    public override async Task Generate(
        GenerateRequest request, IServerStreamWriter<GenerationEvent> responseStream, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, CallerOf(context), out ReadRequest? read));
        await RunAsync(read!, responseStream, context);
    }

    /// <inheritdoc/>
    public override async Task<GenerationResult> GenerateUnary(GenerateRequest request, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, CallerOf(context), out ReadRequest? read));
        return await CollectAsync(read!, context);
    }

    /// <inheritdoc/>
    public override async Task Chat(
        ChatRequest request, IServerStreamWriter<GenerationEvent> responseStream, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, CallerOf(context), out ReadRequest? read));
        await RunAsync(read!, responseStream, context);
    }

    /// <inheritdoc/>
    public override async Task<GenerationResult> ChatUnary(ChatRequest request, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, CallerOf(context), out ReadRequest? read));
        return await CollectAsync(read!, context);
    }

    /// <inheritdoc/>
    public override Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, out ServedModel? model, out int[] ids));
        var response = new TokenizeResponse { ContextTokens = model!.ContextTokens };
        foreach (int id in ids)
        {
            response.TokenIds.Add((uint)id);
        }

        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<DetokenizeResponse> Detokenize(DetokenizeRequest request, ServerCallContext context)
    {
        ThrowIf(request.Model, reader.Read(request, out ServedModel? model, out int[] ids));
        bool skip = !request.HasSkipSpecialTokens || request.SkipSpecialTokens;
        return Task.FromResult(new DetokenizeResponse { Text = model!.Text.Tokenizer.DecodeIds(ids, skip) });
    }

    private async Task<GenerationResult> CollectAsync(ReadRequest read, ServerCallContext context)
    {
        var collector = new ResultCollector();
        await RunAsync(read, collector, context);
        return collector.Result();
    }

    private async Task RunAsync(ReadRequest read, IServerStreamWriter<GenerationEvent> writer, ServerCallContext context)
    {
        if (!admission.TryAdmit(read, context.Deadline, out AdmittedRequest? request, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        HttpContext http = context.GetHttpContext();
        using (request)
        using (var pump = new ResponsePump(
            request, writer, options.Limits.StalledWrite, () => CutOff(http), time, logger))
        {
            try
            {
                await pump.RunAsync(context.CancellationToken);
            }
            catch (OperationCanceledException)
            {
                throw BrokenOff(request, context);
            }
        }
    }

    private RpcException BrokenOff(AdmittedRequest request, ServerCallContext context)
    {
        if (request.Ending == EndReason.SlowReader)
        {
            return new RpcException(new Status(StatusCode.ResourceExhausted, "The client did not read its stream."));
        }

        if (new DateTimeOffset(context.Deadline, TimeSpan.Zero) <= TimeProvider.System.GetUtcNow())
        {
            request.Ending = EndReason.Deadline;
            return new RpcException(new Status(StatusCode.DeadlineExceeded, "The deadline passed."));
        }

        return new RpcException(new Status(StatusCode.Cancelled, "The call was cancelled."));
    }

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

    private static string? CallerOf(ServerCallContext context) => context.RequestHeaders.GetValue("authorization");

    private void ThrowIf(string model, Rejection? rejection)
    {
        if (rejection is not null)
        {
            metrics.CountRejected(model, rejection.Reason);
            throw RejectionStatus.ToException(rejection);
        }
    }
}
