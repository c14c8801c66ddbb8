using Grpc.Core;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>Text generation over gRPC: read, admit, pump. Thread-safe; one instance serves every call.</summary>
internal sealed class InferenceService(RequestReader reader, GenerationCall calls) : Inference.InferenceBase
{
    /// <inheritdoc/>
    public override async Task Generate(
        GenerateRequest request, IServerStreamWriter<GenerationEvent> responseStream, ServerCallContext context)
    {
        calls.ThrowIf(request.Model, reader.Read(request, GenerationCall.CallerOf(context), out ReadRequest? read));
        await calls.RunAsync(read!, new DirectStreamWriter<GenerationEvent>(responseStream, context), context);
    }

    /// <inheritdoc/>
    public override async Task<GenerationResult> GenerateUnary(GenerateRequest request, ServerCallContext context)
    {
        calls.ThrowIf(request.Model, reader.Read(request, GenerationCall.CallerOf(context), out ReadRequest? read));
        return await calls.CollectAsync(read!, context);
    }

    /// <inheritdoc/>
    public override async Task Chat(
        ChatRequest request, IServerStreamWriter<GenerationEvent> responseStream, ServerCallContext context)
    {
        calls.ThrowIf(request.Model, reader.Read(request, GenerationCall.CallerOf(context), out ReadRequest? read));
        await calls.RunAsync(read!, new DirectStreamWriter<GenerationEvent>(responseStream, context), context);
    }

    /// <inheritdoc/>
    public override async Task<GenerationResult> ChatUnary(ChatRequest request, ServerCallContext context)
    {
        calls.ThrowIf(request.Model, reader.Read(request, GenerationCall.CallerOf(context), out ReadRequest? read));
        return await calls.CollectAsync(read!, context);
    }

    /// <inheritdoc/>
    public override Task<TokenizeResponse> Tokenize(TokenizeRequest request, ServerCallContext context)
    {
        calls.ThrowIf(request.Model, reader.Read(request, out ServedModel? model, out int[] ids));
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
        calls.ThrowIf(request.Model, reader.Read(request, out ServedModel? model, out int[] ids));
        bool skip = !request.HasSkipSpecialTokens || request.SkipSpecialTokens;
        return Task.FromResult(new DetokenizeResponse { Text = model!.Text.Tokenizer.DecodeIds(ids, skip) });
    }
}
