using System.Buffers;
using System.Text.Json.Nodes;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Templates;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Requests;

/// <summary>Chat messages → token ids by the model's own template, or why not.</summary>
internal sealed class ConversationReader(RequestLimits limits)
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_");

    private static readonly HashSet<string> ServerNames = new(StringComparer.Ordinal)
    {
        "messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template", "tokenize",
        "bos_token", "eos_token", "pad_token", "unk_token", "raise_exception", "strftime_now",
    };

    /// <summary>Renders and encodes a conversation.</summary>
    public Rejection? Read(
        IReadOnlyList<V1.ChatMessage> messages,
        V1.ChatOptions? options,
        ServedModel model,
        out int[] tokenIds,
        out AnswerReading? answer)
    {
        tokenIds = [];
        answer = null;
        ChatMessage[] turns = [];
        ChatRenderOptions render = new();
        Rejection? rejection = ReadMessages(messages, out turns)
            ?? ReadOptions(options, out render)
            ?? Encode(turns, render, model, out tokenIds);
        if (rejection is null && options is not { HasParseAnswer: true, ParseAnswer: false })
        {
            answer = AnswerReading.Of(model, render.Tools, tokenIds);
        }

        return rejection;
    }

    /// <summary>Renders and encodes turns that were read already.</summary>
    public static Rejection? Encode(ChatMessage[] turns, ChatRenderOptions render, ServedModel model, out int[] tokenIds)
    {
        tokenIds = [];
        if (!model.Text.HasChatTemplate)
        {
            return new Rejection(
                RejectionReason.Unsupported, "messages", "a model with a chat template; this one continues prompts only", model.Name);
        }

        try
        {
            tokenIds = model.Text.EncodeChat(turns, render);
            return null;
        }
        catch (TemplateException refused)
        {
            // Templates refuse conversations they have no form for (roles out of turn) by raising; its text tells the client why.
            return FieldCheck.Invalid("messages", "what the model's chat template accepts", FieldCheck.Quote(refused.Message));
        }
        catch (UnsupportedFeatureException refused)
        {
            return new Rejection(
                RejectionReason.Unsupported, "messages", "what the model's chat template offers", FieldCheck.Quote(refused.Message));
        }
        catch (ArgumentException refused)
        {
            return FieldCheck.Invalid("messages", "text and roles that a template can carry", FieldCheck.Quote(refused.Message));
        }
    }

    private Rejection? ReadMessages(IReadOnlyList<V1.ChatMessage> messages, out ChatMessage[] turns)
    {
        turns = [];
        if (messages.Count == 0)
        {
            return new Rejection(RejectionReason.EmptyPrompt, "messages", "at least 1 turn", "0");
        }

        if (FieldCheck.Count("messages", messages.Count, limits.Messages) is { } tooMany)
        {
            return tooMany;
        }

        turns = new ChatMessage[messages.Count];
        long characters = 0;
        for (int i = 0; i < turns.Length; i++)
        {
            if (ReadMessage($"messages[{FieldCheck.Text(i)}]", messages[i], out turns[i]) is { } rejection)
            {
                return rejection;
            }

            characters += messages[i].Content.Length + messages[i].ReasoningContent.Length;
            if (characters > limits.PromptCharacters)
            {
                return FieldCheck.Invalid(
                    "messages", $"at most {FieldCheck.Text(limits.PromptCharacters)} characters together", "more");
            }
        }

        return null;
    }

    private Rejection? ReadMessage(string field, V1.ChatMessage message, out ChatMessage turn)
    {
        turn = new ChatMessage(message.Role, message.HasContent ? message.Content : null);
        if (FieldCheck.VisibleAscii($"{field}.role", message.Role, limits.NameCharacters) is { } badRole)
        {
            return badRole;
        }

        if (!message.HasContent && message.ToolCalls.Count == 0)
        {
            return FieldCheck.Invalid($"{field}.content", "present, or tool_calls", "neither");
        }

        JsonObject extra = [];
        AddText(extra, "name", message.HasName, message.Name);
        AddText(extra, "tool_call_id", message.HasToolCallId, message.ToolCallId);
        AddText(extra, "reasoning_content", message.HasReasoningContent, message.ReasoningContent);
        if (message.ToolCalls.Count > 0)
        {
            if (ReadToolCalls($"{field}.tool_calls", message.ToolCalls, out JsonArray calls) is { } badCalls)
            {
                return badCalls;
            }

            extra["tool_calls"] = calls;
        }

        turn = turn with { Extra = extra.Count > 0 ? extra : null };
        return null;
    }

    private Rejection? ReadToolCalls(string field, RepeatedField<V1.ToolCall> calls, out JsonArray result)
    {
        result = [];
        if (FieldCheck.Count(field, calls.Count, limits.Tools) is { } tooMany)
        {
            return tooMany;
        }

        foreach (V1.ToolCall call in calls)
        {
            JsonObject arguments = [];
            Rejection? rejection = FieldCheck.VisibleAscii($"{field}.name", call.Name, limits.NameCharacters)
                ?? (call.Arguments is null
                    ? null
                    : JsonValues.Read($"{field}.arguments", call.Arguments, limits.JsonDepth, out arguments));
            if (rejection is not null)
            {
                return rejection;
            }

            JsonObject entry = new()
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = arguments },
            };
            AddText(entry, "id", call.HasId, call.Id);
            result.Add(entry);
        }

        return null;
    }

    private Rejection? ReadOptions(V1.ChatOptions? options, out ChatRenderOptions render)
    {
        render = new ChatRenderOptions();
        if (options is null)
        {
            return null;
        }

        if (FieldCheck.Count("chat.tools", options.Tools.Count, limits.Tools) is { } tooMany)
        {
            return tooMany;
        }

        JsonArray tools = [];
        foreach (Struct tool in options.Tools)
        {
            if (JsonValues.Read("chat.tools", tool, limits.JsonDepth, out JsonObject definition) is { } badTool)
            {
                return badTool;
            }

            tools.Add(definition);
        }

        if (ReadArguments(options.TemplateArguments, out JsonObject? arguments) is { } badArguments)
        {
            return badArguments;
        }

        render = new ChatRenderOptions
        {
            AddGenerationPrompt = !options.HasAddGenerationPrompt || options.AddGenerationPrompt,
            Tools = tools.Count > 0 ? tools : null,
            Arguments = arguments,
        };
        return null;
    }

    private Rejection? ReadArguments(Struct? source, out JsonObject? arguments)
    {
        const string Field = "chat.template_arguments";
        arguments = null;
        if (source is null)
        {
            return null;
        }

        foreach ((string name, Value value) in source.Fields)
        {
            if (CheckArgument(Field, name, limits) is { } badName)
            {
                return badName;
            }

            if (value.KindCase is not (Value.KindOneofCase.StringValue or Value.KindOneofCase.BoolValue
                or Value.KindOneofCase.NumberValue))
            {
                return FieldCheck.Invalid(Field, "strings, numbers or booleans", name);
            }
        }

        Rejection? rejection = JsonValues.Read(Field, source, limits.JsonDepth, out JsonObject read);
        arguments = read;
        return rejection;
    }

    /// <summary>Whether a template may be given a value of that name.</summary>
    public static Rejection? CheckArgument(string field, string name, RequestLimits limits)
    {
        if (FieldCheck.Length(field, name, 1, limits.NameCharacters) is { } badLength)
        {
            return badLength;
        }

        if (char.IsAsciiDigit(name[0]) || name.AsSpan().ContainsAnyExcept(NameCharacters))
        {
            return FieldCheck.Invalid(field, "names of the form [a-z_][a-z0-9_]*", FieldCheck.Quote(name));
        }

        return ServerNames.Contains(name)
            ? FieldCheck.Invalid(field, "names that the server does not set itself", FieldCheck.Quote(name))
            : null;
    }

    private static void AddText(JsonObject target, string name, bool isSet, string value)
    {
        if (isSet)
        {
            target[name] = value;
        }
    }
}
