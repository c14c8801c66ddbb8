using Grpc.Core;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>What is served here, over gRPC. Thread-safe.</summary>
internal sealed class ModelsService(ModelCatalog catalog, ModelDescription description) : V1.Models.ModelsBase
{
    /// <inheritdoc/>
    public override Task<ListModelsResponse> List(ListModelsRequest request, ServerCallContext context)
    {
        var response = new ListModelsResponse();
        response.Models.Add(catalog.Models.Select(description.Of));
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<Model> Get(GetModelRequest request, ServerCallContext context) =>
        catalog.TryFind(request.Model, out ServedModel? model, out Rejection? rejection)
            ? Task.FromResult(description.Of(model))
            : throw RejectionStatus.ToException(rejection);
}
