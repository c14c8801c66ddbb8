using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace ModelServe.Client;

/// <summary>A ModelServe server as an <see cref="IChatClient"/>, for applications built on Microsoft.Extensions.AI. Thread-safe.</summary>
/// <remarks>
/// A call comes as one <see cref="FunctionCallContent"/> once it is complete, reasoning as <see cref="TextReasoningContent"/>; both go back the
/// same way, so that a FunctionInvokingChatClient can stand before it. A function whose additional properties say "strict" true is held to its schema.
/// An option or content that the server does not offer is refused, not dropped.
/// </remarks>
public sealed class ModelServeChatClient : IChatClient
{
    private readonly ModelServeClient _client;
    private readonly ChatClientMetadata _metadata;
    private readonly string? _model;

    /// <summary>An adapter over a client.</summary>
    /// <param name="client">The client; stays the caller's.</param>
    /// <param name="model">The model of requests that name none; null leaves it to the server.</param>
    public ModelServeChatClient(ModelServeClient client, string? model = null)
    {
        _client = client;
        _model = model;
        _metadata = new ChatClientMetadata("modelserve", defaultModelId: model);
    }

    /// <inheritdoc/>
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        V1.ChatRequest request = ChatRequests.From(messages, options, _model);
        V1.Accepted? accepted = null;
        var calls = new CallCollector();
        await foreach (V1.GenerationEvent message in _client.ChatAsync(request, cancellationToken: cancellationToken))
        {
            accepted ??= message.Accepted;
            if (Update(message, calls) is { } update)
            {
                update.Role = ChatRole.Assistant;
                update.RawRepresentation = message;
                update.ResponseId = accepted?.RequestId;
                update.MessageId = accepted?.RequestId;
                update.ModelId = accepted?.Model;
                yield return update;
            }
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        if (serviceKey is not null)
        {
            return null;
        }

        return serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType == typeof(ModelServeClient) ? _client
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Holds nothing of its own: the client and its channel are the caller's.
    }

    private static ChatResponseUpdate? Update(V1.GenerationEvent message, CallCollector calls) => message.EventCase switch
    {
        V1.GenerationEvent.EventOneofCase.Tokens when Contents(message.Tokens, calls) is { Count: > 0 } contents => new ChatResponseUpdate { Contents = contents },
        V1.GenerationEvent.EventOneofCase.Finished => new ChatResponseUpdate
        {
            FinishReason = Reason(message.Finished.Reason),
            Contents = [new UsageContent(Usage(message.Finished.Usage))],
        },
        _ => null,
    };

    private static List<AIContent> Contents(V1.Tokens tokens, CallCollector calls)
    {
        var contents = new List<AIContent>();
        if (tokens.Reasoning.Length > 0)
        {
            contents.Add(new TextReasoningContent(tokens.Reasoning));
        }

        if (tokens.Text.Length > 0)
        {
            contents.Add(new TextContent(tokens.Text));
        }

        contents.AddRange(calls.Take(tokens.ToolCalls));
        return contents;
    }

    private static ChatFinishReason Reason(V1.FinishReason reason) => reason switch
    {
        V1.FinishReason.Stop => ChatFinishReason.Stop,
        V1.FinishReason.ToolCalls => ChatFinishReason.ToolCalls,
        V1.FinishReason.Length or V1.FinishReason.ContextFull => ChatFinishReason.Length,
        _ => new ChatFinishReason(reason.ToString().ToUpperInvariant()),
    };

    private static UsageDetails Usage(V1.Usage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.CompletionTokens,
        TotalTokenCount = usage.PromptTokens + usage.CompletionTokens,
        CachedInputTokenCount = usage.CachedPromptTokens,
        ReasoningTokenCount = usage.HasReasoningTokens ? usage.ReasoningTokens : null,
    };
}
