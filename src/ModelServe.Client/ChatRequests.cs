using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.AI;

namespace ModelServe.Client;

/// <summary>Microsoft.Extensions.AI conversations as requests of this server's contract.</summary>
internal static class ChatRequests
{
    // The name that the abstractions' other providers know: the arguments of such a function fit its schema.
    private const string Strict = "strict";

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

        request.Chat = ToolsFrom(options);
        return request;
    }

    private static V1.ChatOptions? ToolsFrom(ChatOptions? options)
    {
        var chat = new V1.ChatOptions();
        if (options?.Tools is { Count: > 0 } tools)
        {
            chat.Tools.Add(tools.Select(Definition));
        }

        // Whether there is anything to choose from is the server's to say.
        chat.ToolChoice = options?.ToolMode switch
        {
            null or AutoChatToolMode => null,
            NoneChatToolMode => new V1.ToolChoice { Mode = V1.ToolMode.None },
            RequiredChatToolMode { RequiredFunctionName: { } name } => new V1.ToolChoice { Function = name },
            RequiredChatToolMode => new V1.ToolChoice { Mode = V1.ToolMode.Required },
            var other => throw new NotSupportedException($"ChatOptions.ToolMode: none, auto or required; got {other.GetType().Name}"),
        };
        if (options?.AllowMultipleToolCalls is { } several)
        {
            chat.ParallelToolCalls = several;
        }

        return chat.Equals(new V1.ChatOptions()) ? null : chat;
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

        if (results.Length > 0 && message.Contents.All(content => content is FunctionResultContent))
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
                case TextContent or FunctionResultContent:
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

        result.Form = options.ResponseFormat switch
        {
            null or ChatResponseFormatText => null,
            ChatResponseFormatJson { Schema: { } schema } => new V1.OutputForm { JsonSchema = schema.GetRawText() },
            ChatResponseFormatJson => new V1.OutputForm { JsonObject = true },
            var other => throw new NotSupportedException($"ChatOptions.ResponseFormat: text or JSON; got {other.GetType().Name}"),
        };
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

    private static Struct Definition(AITool tool)
    {
        if (tool is not AIFunctionDeclaration function)
        {
            throw new NotSupportedException($"tools: functions; got {tool.GetType().Name}");
        }

        var definition = new Struct { Fields = { ["name"] = Value.ForString(function.Name), ["description"] = Value.ForString(function.Description) } };
        definition.Fields["parameters"] = Value.ForStruct(Struct.Parser.ParseJson(function.JsonSchema.GetRawText()));
        if (function.AdditionalProperties.TryGetValue(Strict, out object? strict) && strict is bool isStrict)
        {
            definition.Fields[Strict] = Value.ForBool(isStrict);
        }

        return new Struct { Fields = { ["type"] = Value.ForString("function"), ["function"] = Value.ForStruct(definition) } };
    }

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
