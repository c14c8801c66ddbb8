using System.Runtime.CompilerServices;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.V1;

namespace ModelServe.Client;

/// <summary>A typed client of one ModelServe server. Thread-safe.</summary>
/// <remarks>
/// Streams are the server's events in order: Accepted, then Tokens, then Finished. A refused request throws
/// <see cref="RequestRefusedException"/>, a request that fails after it was accepted <see cref="ModelServeException"/>, one whose
/// token is cancelled <see cref="OperationCanceledException"/>, and any other failure <see cref="RpcException"/>.
/// Leaving the enumeration early cancels the request on the server. Refused requests are tried again as
/// <see cref="ModelServeClientOptions.Retry"/> says.
/// </remarks>
public sealed class ModelServeClient : IDisposable
{
    private readonly Inference.InferenceClient _inference;
    private readonly Models.ModelsClient _models;
    private readonly Control.ControlClient _control;
    private readonly Calls _calls;
    private readonly GrpcChannel? _owned;

    /// <summary>A client over a channel, for example GrpcChannel.ForAddress("http://127.0.0.1:8001"); the channel stays the caller's.</summary>
    public ModelServeClient(ChannelBase channel, ModelServeClientOptions? options = null)
        : this(channel.CreateCallInvoker(), options)
    {
    }

    /// <summary>A client over an invoker, for callers with interceptors.</summary>
    public ModelServeClient(CallInvoker invoker, ModelServeClientOptions? options = null)
    {
        _inference = new Inference.InferenceClient(invoker);
        _models = new Models.ModelsClient(invoker);
        _control = new Control.ControlClient(invoker);
        _calls = new Calls(options ?? new ModelServeClientOptions());
        Admin = new ModelServeAdmin(invoker, _calls);
    }

    private ModelServeClient(GrpcChannel channel, ModelServeClientOptions options)
        : this(channel.CreateCallInvoker(), options) => _owned = channel;

    /// <summary>What needs the admin right.</summary>
    public ModelServeAdmin Admin { get; }

    /// <summary>A client with connections of its own, which end when it is disposed.</summary>
    /// <param name="address">For example http://127.0.0.1:8001.</param>
    /// <param name="options">How it behaves.</param>
    public static ModelServeClient Connect(Uri address, ModelServeClientOptions? options = null)
    {
        ModelServeClientOptions settings = options ?? new ModelServeClientOptions();
        return new ModelServeClient(settings.Open(address), settings);
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="request">Prompt and options.</param>
    /// <param name="deadline">When the server ends the request, in UTC; null takes the options' timeout.</param>
    /// <param name="cancellationToken">Cancels the request on the server.</param>
    public IAsyncEnumerable<GenerationEvent> GenerateAsync(
        GenerateRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        EventsAsync(_calls.StreamAsync(call => _inference.Generate(request, call), deadline, cancellationToken), cancellationToken);

    /// <summary>Answers a conversation.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public IAsyncEnumerable<GenerationEvent> ChatAsync(
        ChatRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        EventsAsync(_calls.StreamAsync(call => _inference.Chat(request, call), deadline, cancellationToken), cancellationToken);

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
    public Task<GenerationResult> GenerateOnceAsync(
        GenerateRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        _calls.OnceAsync(call => _inference.GenerateUnaryAsync(request, call), deadline, cancellationToken);

    /// <summary>Answers a conversation, once.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public Task<GenerationResult> ChatOnceAsync(
        ChatRequest request, DateTime? deadline = null, CancellationToken cancellationToken = default) =>
        _calls.OnceAsync(call => _inference.ChatUnaryAsync(request, call), deadline, cancellationToken);

    /// <summary>Token ids of a text or a conversation.</summary>
    public Task<TokenizeResponse> TokenizeAsync(TokenizeRequest request, CancellationToken cancellationToken = default) =>
        _calls.OnceAsync(call => _inference.TokenizeAsync(request, call), null, cancellationToken);

    /// <summary>Text of token ids.</summary>
    public async Task<string> DetokenizeAsync(DetokenizeRequest request, CancellationToken cancellationToken = default) =>
        (await _calls.OnceAsync(call => _inference.DetokenizeAsync(request, call), null, cancellationToken)).Text;

    /// <summary>Every known model.</summary>
    public async Task<IReadOnlyList<Model>> ListModelsAsync(CancellationToken cancellationToken = default) =>
        (await _calls.OnceAsync(call => _models.ListAsync(new ListModelsRequest(), call), null, cancellationToken)).Models;

    /// <summary>One model; with no name, the only one that the server serves.</summary>
    public Task<Model> GetModelAsync(string? name = null, CancellationToken cancellationToken = default)
    {
        var request = new GetModelRequest();
        if (name is not null)
        {
            request.Model = name;
        }

        return _calls.OnceAsync(call => _models.GetAsync(request, call), null, cancellationToken);
    }

    /// <summary>The server itself.</summary>
    public Task<ServerInfoResponse> ServerInfoAsync(CancellationToken cancellationToken = default) =>
        _calls.OnceAsync(call => _control.ServerInfoAsync(new ServerInfoRequest(), call), null, cancellationToken);

    /// <summary>Ends a live request of any caller.</summary>
    /// <exception cref="RequestRefusedException">No live request has that id.</exception>
    public Task AbortAsync(string requestId, string? model = null, CancellationToken cancellationToken = default)
    {
        var request = new AbortRequest { RequestId = requestId };
        if (model is not null)
        {
            request.Model = model;
        }

        return _calls.OnceAsync(call => _control.AbortAsync(request, call), null, cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _owned?.Dispose();

    private static async IAsyncEnumerable<GenerationEvent> EventsAsync(
        IAsyncEnumerable<GenerationEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (GenerationEvent message in events.WithCancellation(cancellationToken))
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
