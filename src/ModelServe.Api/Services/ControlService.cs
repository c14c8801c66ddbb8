using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;
using EngineMode = ModelServe.Engine.Running.PauseMode;
using WireMode = ModelServe.V1.PauseMode;

namespace ModelServe.Api.Services;

/// <summary>The server itself, over gRPC. Thread-safe.</summary>
internal sealed class ControlService(
    ModelCatalog catalog, ModelDescription description, ServerDrain drain, ServerEnd end, ApiOptions options)
    : Control.ControlBase
{
    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(2);

    /// <summary>Counts up with every change of the contract.</summary>
    public const int SchemaRevision = 4;

    /// <inheritdoc/>
    public override Task<ServerInfoResponse> ServerInfo(ServerInfoRequest request, ServerCallContext context)
    {
        RequestLimits limits = options.Limits;
        var response = new ServerInfoResponse
        {
            SchemaRevision = SchemaRevision,
            Software = SoftwareVersion.Name,
            Version = SoftwareVersion.Version,
            Draining = drain.IsDraining,
            LiveRequests = drain.LiveRequestCount,
            Caps = new RequestCaps
            {
                MessageBytes = limits.MessageBytes,
                PromptCharacters = limits.PromptCharacters,
                Messages = limits.Messages,
                StopStrings = limits.StopStrings,
                StopStringCharacters = limits.StopStringCharacters,
                StopTokenIds = limits.StopTokenIds,
                LogitBiasEntries = limits.LogitBiasEntries,
                TopLogprobs = limits.TopLogprobs,
                PromptLogprobs = limits.PromptLogprobs,
                DurationSeconds = limits.Duration.TotalSeconds,
                StalledWriteSeconds = limits.StalledWrite.TotalSeconds,
            },
        };
        response.Models.Add(catalog.Entries.Select(description.Of));
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<AbortResponse> Abort(AbortRequest request, ServerCallContext context)
    {
        if (FieldCheck.VisibleAscii("request_id", request.RequestId, options.Limits.NameCharacters) is { } badId)
        {
            throw RejectionStatus.ToException(badId);
        }

        bool found = false;
        if (request.HasModel)
        {
            found = catalog.TryFind(request.Model, out ServedModel? model, out Rejection? rejection)
                ? model.Engine.Abort(request.RequestId, EndReason.Cancelled)
                : throw RejectionStatus.ToException(rejection);
        }
        else
        {
            foreach (ServedModel model in catalog.Models)
            {
                found |= model.Engine.Abort(request.RequestId, EndReason.Cancelled);
            }
        }

        return found ? Task.FromResult(new AbortResponse()) : throw NotLive(request.RequestId);
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task<DrainResponse> Drain(DrainRequest request, ServerCallContext context)
    {
        if (FieldCheck.Range("wait_seconds", (float)request.WaitSeconds, 0, 3600) is { } bad)
        {
            throw RejectionStatus.ToException(bad);
        }

        drain.Begin();
        await end.RunAsync(
            async token =>
            {
                if (!await drain.WaitForRequestsAsync(TimeSpan.FromSeconds(request.WaitSeconds), token) && request.EndRequests)
                {
                    drain.EndRequests();
                    await drain.WaitForRequestsAsync(FarewellTime, token);
                }
            },
            context.CancellationToken);
        return new DrainResponse { LiveRequests = drain.LiveRequestCount };
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task<PauseResponse> Pause(PauseRequest request, ServerCallContext context)
    {
        EngineMode mode = request.Mode switch
        {
            WireMode.Unspecified when !request.HasMode => EngineMode.Keep,
            WireMode.Keep => EngineMode.Keep,
            WireMode.Wait => EngineMode.Wait,
            _ => throw RejectionStatus.ToException(FieldCheck.Invalid(
                "mode", "PAUSE_MODE_KEEP or PAUSE_MODE_WAIT", FieldCheck.Text((int)request.Mode))),
        };
        ServedModel[] models = Meant(request.Model);
        bool[] still = [];
        await end.RunAsync(
            async token => still = await Task.WhenAll(models.Select(model => model.Engine.PauseAsync(mode, token))),
            context.CancellationToken);
        int missed = Array.IndexOf(still, false);
        if (missed >= 0)
        {
            throw RejectionStatus.ToException(new Rejection(
                RejectionReason.PauseEnded, "model", "one that stands still", $"'{models[missed].Name}', which was resumed, failed or unloaded"));
        }

        return new PauseResponse
        {
            Running = models.Sum(model => model.Engine.Status.Running),
            Waiting = models.Sum(model => model.Engine.Status.Waiting),
        };
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task<ResumeResponse> Resume(ResumeRequest request, ServerCallContext context)
    {
        await Task.WhenAll(Meant(request.Model).Select(model => model.Engine.PauseAsync(EngineMode.None, context.CancellationToken)));
        return new ResumeResponse();
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task<FlushPrefixCacheResponse> FlushPrefixCache(FlushPrefixCacheRequest request, ServerCallContext context)
    {
        int[] blocks = await Task.WhenAll(
            Meant(request.Model).Select(model => model.Engine.FlushPrefixCacheAsync(context.CancellationToken)));
        return new FlushPrefixCacheResponse { Blocks = blocks.Sum() };
    }

    private ServedModel[] Meant(string name) =>
        name.Length == 0 ? [.. catalog.Models]
        : catalog.TryFind(name, out ServedModel? model, out Rejection? rejection) ? [model]
        : throw RejectionStatus.ToException(rejection);

    private static RpcException NotLive(string requestId) => RejectionStatus.ToException(
        new Rejection(RejectionReason.UnknownRequest, "request_id", "a live request", FieldCheck.Quote(requestId)));
}
