using System.Runtime.CompilerServices;
using Grpc.Core;
using ModelServe.V1;

namespace ModelServe.Client;

/// <summary>A typed client of one ModelServe server. Thread-safe; the channel stays the caller's.</summary>
/// <remarks>
/// Streams are the server's events in order: Accepted, then Tokens, then Finished. A terminal Error is thrown as
/// <see cref="ModelServeException"/>, a refused request as <see cref="RpcException"/>, whose details say field and limit.
/// Leaving the enumeration early cancels the request on the server.
/// </remarks>
public sealed class ModelServeClient
{
    private readonly Inference.InferenceClient _inference;
    private readonly Models.ModelsClient _models;
    private readonly Control.ControlClient _control;

    /// <summary>A client over a channel, for example GrpcChannel.ForAddress("http://127.0.0.1:8001").</summary>
    public ModelServeClient(ChannelBase channel)
        : this(channel.CreateCallInvoker())
    {
    }

    /// <summary>A client over an invoker, for callers with interceptors.</summary>
    public ModelServeClient(CallInvoker invoker)
    {
        _inference = new Inference.InferenceClient(invoker);
        _models = new Models.ModelsClient(invoker);
        _control = new Control.ControlClient(invoker);
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="request">Prompt and options.</param>
    /// <param name="deadline">When the server ends the request, in UTC; null leaves it to the server's maximum.</param>
    /// <param name="cancellationToken">Cancels the request on the server.</param>
    public IAsyncEnumerable<GenerationEvent> GenerateAsync(
        GenerateRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        ReadAsync(token => _inference.Generate(request, Options(deadline, token)), cancellationToken);

    /// <summary>Answers a conversation.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public IAsyncEnumerable<GenerationEvent> ChatAsync(
        ChatRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        ReadAsync(token => _inference.Chat(request, Options(deadline, token)), cancellationToken);

    /// <summary>The text alone of a continued prompt, as it is generated.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public IAsyncEnumerable<string> GenerateTextAsync(
        GenerateRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        TextAsync(GenerateAsync(request, deadline, cancellationToken), cancellationToken);

    /// <summary>The text alone of an answer, as it is generated.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public IAsyncEnumerable<string> ChatTextAsync(
        ChatRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        TextAsync(ChatAsync(request, deadline, cancellationToken), cancellationToken);

    /// <summary>Continues a prompt, answered once.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public async Task<GenerationResult> GenerateOnceAsync(
        GenerateRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        await _inference.GenerateUnaryAsync(request, Options(deadline, cancellationToken));

    /// <summary>Answers a conversation, once.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public async Task<GenerationResult> ChatOnceAsync(
        ChatRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        await _inference.ChatUnaryAsync(request, Options(deadline, cancellationToken));

    /// <summary>Token ids of a text or a conversation.</summary>
    public async Task<TokenizeResponse> TokenizeAsync(
        TokenizeRequest request, CancellationToken cancellationToken = default) =>
        await _inference.TokenizeAsync(request, Options(null, cancellationToken));

    /// <summary>Text of token ids.</summary>
    public async Task<string> DetokenizeAsync(
        DetokenizeRequest request, CancellationToken cancellationToken = default) =>
        (await _inference.DetokenizeAsync(request, Options(null, cancellationToken))).Text;

    /// <summary>The served models.</summary>
    public async Task<IReadOnlyList<Model>> ListModelsAsync(CancellationToken cancellationToken = default) =>
        (await _models.ListAsync(new ListModelsRequest(), Options(null, cancellationToken))).Models;

    /// <summary>One model; with no name, the only one that the server serves.</summary>
    public async Task<Model> GetModelAsync(string? name = null, CancellationToken cancellationToken = default)
    {
        var request = new GetModelRequest();
        if (name is not null)
        {
            request.Model = name;
        }

        return await _models.GetAsync(request, Options(null, cancellationToken));
    }

    /// <summary>The server itself.</summary>
    public async Task<ServerInfoResponse> ServerInfoAsync(CancellationToken cancellationToken = default) =>
        await _control.ServerInfoAsync(new ServerInfoRequest(), Options(null, cancellationToken));

    /// <summary>Ends a live request of any caller.</summary>
    /// <exception cref="RpcException">No live request has that id (NOT_FOUND).</exception>
    public async Task AbortAsync(string requestId, string? model = null, CancellationToken cancellationToken = default)
    {
        var request = new AbortRequest { RequestId = requestId };
        if (model is not null)
        {
            request.Model = model;
        }

        await _control.AbortAsync(request, Options(null, cancellationToken));
    }

    private static CallOptions Options(DateTime? deadline, CancellationToken cancellationToken) =>
        new(deadline: deadline, cancellationToken: cancellationToken);

    private static async IAsyncEnumerable<GenerationEvent> ReadAsync(
        Func<CancellationToken, AsyncServerStreamingCall<GenerationEvent>> start,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Disposing the call, which an early end of the enumeration does, resets its stream, and the server cancels.
        using AsyncServerStreamingCall<GenerationEvent> call = start(cancellationToken);
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (message.EventCase == GenerationEvent.EventOneofCase.Error)
            {
                throw new ModelServeException(message.Error);
            }

            yield return message;
        }
    }

    private static async IAsyncEnumerable<string> TextAsync(
        IAsyncEnumerable<GenerationEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (GenerationEvent message in events.WithCancellation(cancellationToken))
        {
            if (message.EventCase == GenerationEvent.EventOneofCase.Tokens && message.Tokens.Text.Length > 0)
            {
                yield return message.Tokens.Text;
            }
        }
    }
}
