using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using ModelServe.Facades.OpenEngine;
using Own = ModelServe.V1.GenerateRequest;
using Theirs = ModelServe.Facades.OpenEngine.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>openengine.v1.Inference. Thread-safe.</summary>
internal sealed class OpenEngineInferenceService(RequestReader reader, GenerationCall calls) : Inference.InferenceBase
{
    private const string PriorityKey = "openengine-priority";
    private const string RankKey = "openengine-target-dp-rank";

    /// <inheritdoc/>
    public override async Task Generate(
        Theirs request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context)
    {
        if (FacadeFields.Integer(context, RankKey) is { } rank && rank != 0)
        {
            throw RejectionStatus.ToException(FieldCheck.Invalid(RankKey, "0, the only rank", FieldCheck.Text(rank)));
        }

        ReadRequest? read = null;
        Rejection? rejection = OpenEngineRequests.Translate(request, FacadeFields.Integer(context, PriorityKey), out Own own)
            ?? reader.Read(own, GenerationCall.CallerOf(context), out read);
        calls.ThrowIf(request.Model, rejection is null ? null : OpenEngineRequests.Rename(rejection));
        await calls.RunAsync(read!, new OpenEngineWriter(request, responseStream), context, OpenEngineRequests.Rename);
    }
}
