using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Requests;

namespace ModelServe.Api.OpenAi;

/// <summary>Tools, the choice among them, the form of the answer, and named values for the template.</summary>
internal sealed class ToolFields(RequestLimits limits)
{
    private static readonly SearchValues<char> FunctionCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");

    private static readonly string[] Efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];

    /// <summary>The tools that the answer may call; null for none. Errors stay with the fields.</summary>
    public JsonArray? Read(JsonFields fields)
    {
        JsonArray tools = ReadTools(fields);
        bool called = ReadChoice(fields, tools);
        if (fields.Flag("parallel_tool_calls") == false && tools.Count > 0)
        {
            fields.RefuseUnsupported("parallel_tool_calls", "true, until calls can be held to a grammar", "false");
        }

        return called && tools.Count > 0 ? tools : null;
    }

    /// <summary>Values that the model's template knows: enable_thinking, reasoning_effort and what chat_template_kwargs names.</summary>
    public JsonObject ReadTemplateArguments(JsonFields fields)
    {
        JsonObject arguments = [];
        if (fields.Of("chat_template_kwargs", JsonValueKind.Object, "an object") is { } given)
        {
            foreach (JsonProperty entry in given.EnumerateObject())
            {
                fields.Refuse(ConversationReader.CheckArgument("chat_template_kwargs", entry.Name, limits)
                    ?? (entry.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False
                        ? null
                        : FieldCheck.Invalid("chat_template_kwargs", "strings, numbers or booleans", FieldCheck.Quote(entry.Name))));
                if (fields.Error is not null)
                {
                    return arguments;
                }

                arguments[entry.Name] = JsonValue.Create(entry.Value);
            }
        }

        if (fields.Text("reasoning_effort") is { } effort)
        {
            if (!Efforts.Contains(effort))
            {
                fields.Refuse("reasoning_effort", $"one of {string.Join(", ", Efforts)}", FieldCheck.Quote(effort));
            }

            arguments["reasoning_effort"] = effort;
        }

        if (fields.Flag("enable_thinking") is { } thinking)
        {
            arguments["enable_thinking"] = thinking;
        }

        if (fields.TryGet("chat_template", out _))
        {
            fields.RefuseUnsupported("chat_template", "absent: the model's own template is used", "a template");
        }

        return arguments;
    }

    private JsonArray ReadTools(JsonFields fields)
    {
        JsonArray tools = [];
        if (fields.Of("tools", JsonValueKind.Array, "a list of tools") is not { } list)
        {
            return tools;
        }

        fields.Refuse(FieldCheck.Count("tools", list.GetArrayLength(), limits.Tools));
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonElement entry in list.EnumerateArray())
        {
            string path = $"tools[{FieldCheck.Text(tools.Count)}]";
            if (fields.Error is not null || entry.ValueKind != JsonValueKind.Object)
            {
                fields.Refuse(path, "an object", JsonFields.Show(entry));
                break;
            }

            var tool = new JsonFields(entry, path);
            string? type = tool.Text("type");
            if (type != "function")
            {
                tool.RefuseUnsupported("type", "'function'", FieldCheck.Quote(type ?? string.Empty));
            }

            JsonFields? function = tool.Object("function");
            string? name = function?.Text("name", limits.FunctionNameCharacters);
            if (name is null || name.AsSpan().ContainsAnyExcept(FunctionCharacters))
            {
                tool.Refuse("function.name", "letters, digits, '_', '-' or '.'", name is null ? "none" : FieldCheck.Quote(name));
            }
            else if (!names.Add(name))
            {
                tool.Refuse("function.name", "a name that no other tool has", FieldCheck.Quote(name));
            }

            function?.Text("description");
            function?.Object("parameters");
            if (function?.Flag("strict") == true)
            {
                function.RefuseUnsupported("strict", "false, until calls can be held to a grammar", "true");
            }

            tool.Close(function);
            fields.Close(tool);
            if (fields.Error is null && DepthOf(entry, limits.JsonDepth) < 0)
            {
                fields.Refuse(path, $"at most {FieldCheck.Text(limits.JsonDepth)} levels", "more");
            }

            tools.Add(JsonObject.Create(entry));
        }

        return tools;
    }

    private static bool ReadChoice(JsonFields fields, JsonArray tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement choice))
        {
            return true;
        }

        if (choice.ValueKind == JsonValueKind.String && choice.GetString() is "none" or "auto")
        {
            return choice.ValueEquals("auto");
        }

        if (tools.Count == 0)
        {
            fields.Refuse("tool_choice", "'none' or 'auto' unless there are tools", JsonFields.Show(choice));
        }
        else if (choice.ValueKind == JsonValueKind.Object || (choice.ValueKind == JsonValueKind.String && choice.ValueEquals("required")))
        {
            fields.RefuseUnsupported("tool_choice", "'none' or 'auto', until calls can be held to a grammar", JsonFields.Show(choice));
        }

        fields.Refuse("tool_choice", "'none', 'auto', 'required' or a named function", JsonFields.Show(choice));
        return false;
    }

    private static int DepthOf(JsonElement value, int left)
    {
        if (left == 0)
        {
            return -1;
        }

        IEnumerable<JsonElement> inside = value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().Select(entry => entry.Value),
            JsonValueKind.Array => value.EnumerateArray(),
            _ => [],
        };
        return inside.All(entry => DepthOf(entry, left - 1) >= 0) ? left : -1;
    }
}
