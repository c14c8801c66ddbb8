using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.AI;

namespace ModelServe.Client;

/// <summary>Microsoft.Extensions.AI conversations as requests of this server's contract.</summary>
internal static class ChatRequests
{
    /// <summary>The request for a conversation.</summary>
    /// <exception cref="NotSupportedException">A message or an option asks for what the server does not offer.</exception>
    public static V1.ChatRequest From(IEnumerable<ChatMessage> messages, ChatOptions? options, string? defaultModel)
    {
        var request = new V1.ChatRequest { Options = OptionsFrom(options) };
        if ((options?.ModelId ?? defaultModel) is { } model)
        {
            request.Model = model;
        }

        if (!string.IsNullOrEmpty(options?.Instructions))
        {
            request.Messages.Add(new V1.ChatMessage { Role = "system", Content = options.Instructions });
        }

        foreach (ChatMessage message in messages)
        {
            AddMessage(request, message);
        }

        if (options?.Tools is { Count: > 0 } tools)
        {
            request.Chat = new V1.ChatOptions();
            request.Chat.Tools.Add(tools.Select(Definition));
        }

        return request;
    }

    private static void AddMessage(V1.ChatRequest request, ChatMessage message)
    {
        FunctionResultContent[] results = [.. message.Contents.OfType<FunctionResultContent>()];
        foreach (FunctionResultContent result in results)
        {
            request.Messages.Add(new V1.ChatMessage
            {
                Role = "tool",
                Content = result.Result as string ?? JsonSerializer.Serialize(result.Result, AIJsonUtilities.DefaultOptions),
                ToolCallId = result.CallId,
            });
        }

        if (results.Length > 0)
        {
            return;
        }

        var turn = new V1.ChatMessage { Role = message.Role.Value, Content = message.Text };
        if (!string.IsNullOrEmpty(message.AuthorName))
        {
            turn.Name = message.AuthorName;
        }

        foreach (AIContent content in message.Contents)
        {
            switch (content)
            {
                case TextContent:
                    break;
                case TextReasoningContent reasoning:
                    turn.ReasoningContent += reasoning.Text;
                    break;
                case FunctionCallContent call:
                    turn.ToolCalls.Add(new V1.ToolCall { Id = call.CallId, Name = call.Name, Arguments = Object(call.Arguments) });
                    break;
                default:
                    throw new NotSupportedException($"message content: text and function calls; got {content.GetType().Name}");
            }
        }

        request.Messages.Add(turn);
    }

    private static V1.GenerationOptions OptionsFrom(ChatOptions? options)
    {
        var result = new V1.GenerationOptions { Sampling = new V1.SamplingParameters(), Stop = new V1.StopConditions() };
        if (options is null)
        {
            return result;
        }

        Refuse(options.ResponseFormat is not (null or ChatResponseFormatText), nameof(options.ResponseFormat));
        Refuse(options.ToolMode is RequiredChatToolMode, nameof(options.ToolMode));
        Refuse(options.ContinuationToken is not null, nameof(options.ContinuationToken));
        Set(options.Temperature, value => result.Sampling.Temperature = value);
        Set(options.TopP, value => result.Sampling.TopP = value);
        Set(options.TopK, value => result.Sampling.TopK = value);
        Set(options.Seed, value => result.Sampling.Seed = unchecked((ulong)value));
        Set(options.PresencePenalty, value => result.Sampling.PresencePenalty = value);
        Set(options.FrequencyPenalty, value => result.Sampling.FrequencyPenalty = value);
        Set(options.MaxOutputTokens, value => result.Stop.MaxTokens = value);
        result.Stop.Strings.Add(options.StopSequences ?? []);
        return result;
    }

    private static Struct Definition(AITool tool) => tool is AIFunctionDeclaration function
        ? Struct.Parser.ParseJson(JsonSerializer.Serialize(new
        {
            type = "function",
            function = new { name = function.Name, description = function.Description, parameters = function.JsonSchema },
        }))
        : throw new NotSupportedException($"tools: functions; got {tool.GetType().Name}");

    private static Struct Object(IDictionary<string, object?>? arguments) => arguments is null
        ? new Struct()
        : JsonParser.Default.Parse<Struct>(JsonSerializer.Serialize(arguments, AIJsonUtilities.DefaultOptions));

    private static void Set<T>(T? value, Action<T> set)
        where T : struct
    {
        if (value is { } given)
        {
            set(given);
        }
    }

    private static void Refuse(bool isSet, string name)
    {
        if (isSet)
        {
            throw new NotSupportedException($"ChatOptions.{name}: not offered by this server");
        }
    }
}
