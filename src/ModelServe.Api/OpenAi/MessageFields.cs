using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Requests;
using ModelServe.Codec.Chat;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>The messages of a conversation, as a chat template sees them.</summary>
internal sealed class MessageFields(RequestLimits limits)
{
    private static readonly string[] Roles = ["system", "developer", "user", "assistant", "tool"];

    /// <summary>Reads all turns; errors stay with the fields.</summary>
    public ChatMessage[] Read(JsonFields fields)
    {
        if (fields.Of("messages", JsonValueKind.Array, "a list of messages") is not { } list)
        {
            fields.Refuse("messages", "at least 1 message", "none");
            return [];
        }

        int count = list.GetArrayLength();
        fields.Refuse(count == 0
            ? new Rejection(RejectionReason.EmptyPrompt, "messages", "at least 1 message", "0")
            : FieldCheck.Count("messages", count, limits.Messages));
        var turns = new List<ChatMessage>();
        long characters = 0;
        foreach (JsonElement entry in list.EnumerateArray())
        {
            if (fields.Error is not null)
            {
                break;
            }

            string path = $"messages[{FieldCheck.Text(turns.Count)}]";
            if (entry.ValueKind != JsonValueKind.Object)
            {
                fields.Refuse(path, "an object", JsonFields.Show(entry));
                break;
            }

            turns.Add(ReadTurn(fields, new JsonFields(entry, path)));
            characters += turns[^1].Content?.Length ?? 0;
            if (characters > limits.PromptCharacters)
            {
                fields.Refuse("messages", $"at most {FieldCheck.Text(limits.PromptCharacters)} characters together", "more");
            }
        }

        return [.. turns];
    }

    private ChatMessage ReadTurn(JsonFields fields, JsonFields message)
    {
        string role = message.Text("role") ?? string.Empty;
        if (!Roles.Contains(role))
        {
            message.Refuse("role", $"one of {string.Join(", ", Roles)}", FieldCheck.Quote(role));
        }

        JsonObject extra = [];
        Add(extra, "name", message.Text("name", limits.NameCharacters));
        Add(extra, "tool_call_id", message.Text("tool_call_id", limits.NameCharacters));
        // Two names are in use; templates know the first.
        Add(extra, "reasoning_content", message.Text("reasoning_content", limits.PromptCharacters) ?? message.Text("reasoning", limits.PromptCharacters));
        string? content = ReadContent(message);
        if (message.TryGet("tool_calls", out JsonElement calls) && ReadCalls(message, calls, role) is { Count: > 0 } read)
        {
            extra["tool_calls"] = read;
        }
        else if (content is null)
        {
            message.Refuse("content", "a string or a list of text parts", "none");
        }

        foreach (string name in (string[])["audio", "function_call", "refusal"])
        {
            // Clients send an answer's empty fields back.
            if (message.TryGet(name, out JsonElement value))
            {
                message.RefuseUnsupported(name, "absent: this server does not offer it", JsonFields.Show(value));
            }
        }

        message.TryGet("annotations", out _);
        fields.Close(message);
        return new ChatMessage(role == "developer" ? "system" : role, content) { Extra = extra.Count > 0 ? extra : null };
    }

    private static string? ReadContent(JsonFields message)
    {
        if (!message.TryGet("content", out JsonElement content))
        {
            return null;
        }

        switch (content.ValueKind)
        {
            case JsonValueKind.String:
                return content.GetString();
            case JsonValueKind.Array:
                break;
            default:
                message.Refuse("content", "a string or a list of text parts", JsonFields.Show(content));
                return null;
        }

        var text = new StringBuilder();
        int index = 0;
        foreach (JsonElement entry in content.EnumerateArray())
        {
            string name = $"content[{FieldCheck.Text(index++)}]";
            if (entry.ValueKind != JsonValueKind.Object)
            {
                message.Refuse(name, "a text part", JsonFields.Show(entry));
                return null;
            }

            var part = new JsonFields(entry, message.PathOf(name));
            string? type = part.Text("type");
            if (type != "text")
            {
                part.RefuseUnsupported("type", "'text': this server reads no other parts", FieldCheck.Quote(type ?? string.Empty));
            }

            string? piece = part.Text("text");
            if (piece is null)
            {
                part.Refuse("text", "a string", "none");
            }

            text.Append(piece);
            message.Close(part);
        }

        return text.ToString();
    }

    private JsonArray ReadCalls(JsonFields message, JsonElement calls, string role)
    {
        JsonArray result = [];
        if (calls.ValueKind != JsonValueKind.Array || role != "assistant")
        {
            message.Refuse("tool_calls", "a list, in a message of the assistant", role == "assistant" ? JsonFields.Show(calls) : $"role {role}");
            return result;
        }

        message.Refuse(FieldCheck.Count(message.PathOf("tool_calls"), calls.GetArrayLength(), limits.Tools));
        foreach (JsonElement entry in calls.EnumerateArray())
        {
            string name = $"tool_calls[{FieldCheck.Text(result.Count)}]";
            if (entry.ValueKind != JsonValueKind.Object)
            {
                message.Refuse(name, "an object", JsonFields.Show(entry));
                break;
            }

            var call = new JsonFields(entry, message.PathOf(name));
            string? id = call.Text("id", limits.NameCharacters);
            call.TryGet("index", out _);
            if ((call.Text("type") ?? "function") != "function")
            {
                call.RefuseUnsupported("type", "'function'", "another type");
            }

            JsonFields? function = call.Object("function");
            string? called = function?.Text("name", limits.NameCharacters);
            JsonObject arguments = ReadArguments(function);
            if (called is null)
            {
                call.Refuse("function.name", "the name of a function", "none");
            }

            call.Close(function);
            message.Close(call);
            JsonObject read = new()
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = called, ["arguments"] = arguments },
            };
            Add(read, "id", id);
            result.Add(read);
        }

        return result;
    }

    /// <summary>Arguments come as JSON text; templates get the object, as they do from the reference library's callers.</summary>
    private JsonObject ReadArguments(JsonFields? function)
    {
        if (function is null || !function.TryGet("arguments", out JsonElement value))
        {
            return [];
        }

        if (value.ValueKind == JsonValueKind.Object)
        {
            return JsonObject.Create(value) ?? [];
        }

        string? text = value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        if (text is { Length: 0 })
        {
            return [];
        }

        try
        {
            var options = new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = limits.JsonDepth };
            if (text is not null && JsonNode.Parse(text, null, options) is JsonObject parsed)
            {
                return parsed;
            }
        }
        catch (JsonException)
        {
            // Told below, as every other text that is no object.
        }

        function.Refuse("arguments", "the text of a JSON object", JsonFields.Show(value));
        return [];
    }

    private static void Add(JsonObject target, string name, string? value)
    {
        if (value is not null)
        {
            target[name] = value;
        }
    }
}
