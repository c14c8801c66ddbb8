using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>The server itself, over gRPC. Thread-safe.</summary>
internal sealed class ControlService(
    ModelCatalog catalog, ModelDescription description, ServerDrain drain, ApiOptions options) : Control.ControlBase
{
    /// <summary>Counts up with every change of the contract.</summary>
    public const int SchemaRevision = 1;

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
                DurationSeconds = limits.Duration.TotalSeconds,
                StalledWriteSeconds = limits.StalledWrite.TotalSeconds,
            },
        };
        response.Models.Add(catalog.Models.Select(description.Of));
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

    private static RpcException NotLive(string requestId)
    {
        var status = new Google.Rpc.Status
        {
            Code = (int)StatusCode.NotFound,
            Message = $"request_id: a live request; got {FieldCheck.Quote(requestId)}",
        };
        status.Details.Add(Any.Pack(new ResourceInfo { ResourceType = "request_id", ResourceName = requestId }));
        return status.ToRpcException();
    }
}
