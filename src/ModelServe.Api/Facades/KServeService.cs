using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using ModelServe.Facades.KServe;
using ModelServe.V1;
using Own = ModelServe.V1.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>inference.GRPCInferenceService: liveness, readiness, metadata, and a text in for a text out. Thread-safe.</summary>
internal sealed class KServeService(ModelCatalog catalog, HealthReporter health, RequestReader reader, GenerationCall calls)
    : GRPCInferenceService.GRPCInferenceServiceBase
{
    private const string OnlyVersion = "1";

    private static readonly (string Own, string Theirs)[] Names =
    [
        ("options.sampling.", "parameters."),
        ("options.stop.", "parameters."),
        ("options.request_id", "id"),
        ("text", KServeTensors.Input),
        ("prompt", KServeTensors.Input),
        ("model", "model_name"),
    ];

    /// <inheritdoc/>
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerLiveResponse { Live = health.IsProgressing });

    /// <inheritdoc/>
    public override Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerReadyResponse { Ready = health.IsReady });

    /// <inheritdoc/>
    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context)
    {
        CheckVersion(request.Version, "version");
        // A model that is known and not served at this moment is not ready; an unknown one is an error.
        bool ready = catalog.Find(request.Name) is { Stage: not CatalogStage.Served }
            ? false
            : health.Condition(catalog.Find(request.Name, "name")) == ModelCondition.Serving;
        return Task.FromResult(new ModelReadyResponse { Ready = ready });
    }

    /// <inheritdoc/>
    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerMetadataResponse { Name = SoftwareVersion.Name, Version = SoftwareVersion.Version });

    /// <inheritdoc/>
    public override Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context)
    {
        CheckVersion(request.Version, "version");
        ServedModel model = catalog.Find(request.Name, "name");
        return Task.FromResult(new ModelMetadataResponse
        {
            Name = model.Name,
            Versions = { OnlyVersion },
            Platform = SoftwareVersion.Name,
            Inputs = { Text(KServeTensors.Input) },
            Outputs = { Text(KServeTensors.Output) },
        });
    }

    /// <inheritdoc/>
    public override async Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context)
    {
        CheckVersion(request.ModelVersion, "model_version");
        ReadRequest? read = null;
        Rejection? rejection = KServeTensors.Translate(request, out Own own)
            ?? reader.Read(own, GenerationCall.CallerOf(context), out read);
        calls.ThrowIf(request.ModelName, rejection is null ? null : FacadeFields.Rename(rejection, Names));
        GenerationResult result = await calls.CollectAsync(read!, context);
        return KServeTensors.Answer(request, result);
    }

    private static ModelMetadataResponse.Types.TensorMetadata Text(string name) =>
        new() { Name = name, Datatype = KServeTensors.DataType, Shape = { 1 } };

    private static void CheckVersion(string version, string field)
    {
        if (version.Length > 0 && version != OnlyVersion)
        {
            throw RejectionStatus.ToException(
                new Rejection(RejectionReason.UnknownModel, field, $"{OnlyVersion}, the only version", FieldCheck.Quote(version)));
        }
    }
}
