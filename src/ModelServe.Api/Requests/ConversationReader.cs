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
        out AnswerReading? answer,
        out ToolRules rules)
    {
        tokenIds = [];
        answer = null;
        rules = ToolRules.None;
        ChatMessage[] turns = [];
        ChatRenderOptions render = new();
        Rejection? rejection = ReadMessages(messages, out turns)
            ?? ReadOptions(options, out render, out rules)
            ?? CheckContinuation(turns, render)
            ?? Encode(turns, render, model, out tokenIds);
        if (rejection is null)
        {
            answer = AnswerReading.Of(model, rules.Callable, tokenIds, render.ContinueFinalMessage ? turns[^1].Content : null);
        }

        return rejection;
    }

    /// <summary>Refuses to go on from a turn that is no answer of the assistant's, or beside a new turn.</summary>
    public static Rejection? CheckContinuation(ChatMessage[] turns, ChatRenderOptions render)
    {
        const string Field = "chat.continue_final_message";
        return !render.ContinueFinalMessage ? null
            : render.AddGenerationPrompt ? FieldCheck.Invalid(Field, "false beside add_generation_prompt", "true")
            : turns is not [.., { Role: "assistant", Content: not null, Extra: null or { Count: 0 } }]
                ? FieldCheck.Invalid(Field, "false unless the last turn is the assistant's, with content and nothing else", "true")
            : null;
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

    private Rejection? ReadOptions(V1.ChatOptions? options, out ChatRenderOptions render, out ToolRules rules)
    {
        render = new ChatRenderOptions();
        rules = ToolRules.None;
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
            AddGenerationPrompt = options.HasAddGenerationPrompt ? options.AddGenerationPrompt : !options.ContinueFinalMessage,
            ContinueFinalMessage = options.ContinueFinalMessage,
            Arguments = arguments,
        };
        Rejection? badChoice = ReadChoice(options, tools, out rules);
        render = render with { Tools = rules.Tools };
        return badChoice;
    }

    private static Rejection? ReadChoice(V1.ChatOptions options, JsonArray tools, out ToolRules rules)
    {
        const string Field = "chat.tool_choice";
        V1.ToolChoice choice = options.ToolChoice ?? new V1.ToolChoice();
        rules = new ToolRules(tools.Count > 0 && choice.Mode != V1.ToolMode.None ? tools : null)
        {
            IsRequired = choice.Mode == V1.ToolMode.Required,
            Named = choice.HasFunction ? choice.Function : null,
            Allowed = choice.Allowed.Count > 0 ? [.. choice.Allowed] : null,
            IsSingle = options.HasParallelToolCalls && !options.ParallelToolCalls,
        };
        return choice.Mode is not (V1.ToolMode.Unspecified or V1.ToolMode.None or V1.ToolMode.Auto or V1.ToolMode.Required)
                ? FieldCheck.Invalid(Field, "TOOL_MODE_NONE, TOOL_MODE_AUTO or TOOL_MODE_REQUIRED", FieldCheck.Text((int)choice.Mode))
            : tools.Count == 0 && (rules.IsRequired || rules.Named is not null || rules.Allowed is not null)
                ? FieldCheck.Invalid(Field, "absent, or none or auto, unless there are tools", "a choice among tools")
            : null;
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
