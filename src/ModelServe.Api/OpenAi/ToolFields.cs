using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Requests;

namespace ModelServe.Api.OpenAi;

/// <summary>Tools, the choice among them, the form of the answer, and named values for the template.</summary>
internal sealed class ToolFields(RequestLimits limits)
{
    private static readonly string[] Efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];

    /// <summary>The tools, and which of them may or must be called. Errors stay with the fields.</summary>
    public ToolRules Read(JsonFields fields)
    {
        JsonArray tools = ReadTools(fields);
        ToolRules rules = ReadChoice(fields, tools);
        return rules with { IsSingle = fields.Flag("parallel_tool_calls") == false };
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
            if (!CallReader.IsName(name))
            {
                tool.Refuse("function.name", "letters, digits, '_', '-' or '.'", name is null ? "none" : FieldCheck.Quote(name));
            }
            else if (!names.Add(name!))
            {
                tool.Refuse("function.name", "a name that no other tool has", FieldCheck.Quote(name!));
            }

            function?.Text("description");
            function?.Object("parameters");
            function?.Flag("strict");
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

    private ToolRules ReadChoice(JsonFields fields, JsonArray tools)
    {
        ToolRules rules = tools.Count > 0 ? new ToolRules(tools) : ToolRules.None;
        if (!fields.TryGet("tool_choice", out JsonElement choice) || (choice.ValueKind == JsonValueKind.String && choice.ValueEquals("auto")))
        {
            return rules;
        }

        if (choice.ValueKind == JsonValueKind.String && choice.ValueEquals("none"))
        {
            return ToolRules.None;
        }

        if (tools.Count == 0)
        {
            fields.Refuse("tool_choice", "'none' or 'auto' unless there are tools", JsonFields.Show(choice));
        }
        else if (choice.ValueKind == JsonValueKind.String && choice.ValueEquals("required"))
        {
            return rules with { IsRequired = true };
        }
        else if (choice.ValueKind == JsonValueKind.Object)
        {
            return ReadNamed(fields, rules, new JsonFields(choice, "tool_choice"));
        }

        fields.Refuse("tool_choice", "'none', 'auto', 'required', a named function or allowed_tools", JsonFields.Show(choice));
        return rules;
    }

    private ToolRules ReadNamed(JsonFields fields, ToolRules rules, JsonFields choice)
    {
        switch (choice.Text("type"))
        {
            case "function":
                JsonFields? function = choice.Object("function");
                string? name = function?.Text("name", limits.FunctionNameCharacters);
                if (name is null)
                {
                    choice.Refuse("function.name", "the name of a tool", "none");
                }

                choice.Close(function);
                fields.Close(choice);
                return rules with { Named = name };
            case "allowed_tools":
                JsonFields? allowed = choice.Object("allowed_tools");
                string? mode = allowed?.Text("mode");
                if (mode is not ("auto" or "required"))
                {
                    choice.Refuse("allowed_tools.mode", "'auto' or 'required'", mode is null ? "none" : FieldCheck.Quote(mode));
                }

                string[] names = allowed is null ? [] : ReadAllowed(allowed);
                choice.Close(allowed);
                fields.Close(choice);
                return rules with { Allowed = names, IsRequired = mode == "required" };
            case var other:
                choice.RefuseUnsupported("type", "'function' or 'allowed_tools'", other is null ? "none" : FieldCheck.Quote(other));
                fields.Close(choice);
                return rules;
        }
    }

    private string[] ReadAllowed(JsonFields allowed)
    {
        if (allowed.Of("tools", JsonValueKind.Array, "a list of functions") is not { } list || list.GetArrayLength() == 0)
        {
            allowed.Refuse("tools", "at least 1 function", "none");
            return [];
        }

        var names = new List<string>();
        foreach (JsonElement entry in list.EnumerateArray())
        {
            string path = allowed.PathOf($"tools[{FieldCheck.Text(names.Count)}]");
            if (entry.ValueKind != JsonValueKind.Object)
            {
                allowed.Refuse(FieldCheck.Invalid(path, "an object", JsonFields.Show(entry)));
                break;
            }

            var tool = new JsonFields(entry, path);
            string? type = tool.Text("type");
            JsonFields? function = tool.Object("function");
            string? name = function?.Text("name", limits.FunctionNameCharacters);
            if (type != "function" || name is null)
            {
                tool.Refuse(type != "function" ? "type" : "function.name", type != "function" ? "'function'" : "the name of a tool", "another value or none");
            }

            tool.Close(function);
            allowed.Close(tool);
            names.Add(name ?? string.Empty);
        }

        return [.. names];
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
