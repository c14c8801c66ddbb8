using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Host.Evaluation;

/// <summary>Validates a JSON value against the part of JSON Schema that evaluation files use; any other keyword is refused by name.</summary>
internal static class JsonSchemaCheck
{
    private static readonly string[] Known = ["type", "properties", "required", "additionalProperties", "items", "enum", "const", "title", "description"];

    /// <summary>Whether <paramref name="value"/> satisfies <paramref name="schema"/>.</summary>
    /// <exception cref="FormatException">The schema uses a keyword that is not implemented.</exception>
    public static bool Accepts(JsonObject schema, JsonNode? value)
    {
        string? unknown = schema.Select(pair => pair.Key).FirstOrDefault(key => !Known.Contains(key));
        if (unknown is not null)
        {
            throw new FormatException($"json_schema: keyword '{unknown}' is not supported; supported are {string.Join(", ", Known)}");
        }

        return (schema["type"] is not { } type || HasType(type.GetValue<string>(), value))
            && (schema["const"] is not { } constant || JsonNode.DeepEquals(constant, value))
            && (schema["enum"] is not JsonArray choices || choices.Any(choice => JsonNode.DeepEquals(choice, value)))
            && (value is not JsonObject members || AcceptsMembers(schema, members))
            && (value is not JsonArray elements || schema["items"] is not JsonObject item || elements.All(element => Accepts(item, element)));
    }

    private static bool AcceptsMembers(JsonObject schema, JsonObject members)
    {
        JsonObject properties = schema["properties"] as JsonObject ?? [];
        if (schema["required"] is JsonArray required && required.Any(name => !members.ContainsKey(name!.GetValue<string>())))
        {
            return false;
        }

        bool closed = schema["additionalProperties"] is JsonValue open && open.GetValueKind() == JsonValueKind.False;
        return members.All(member => properties[member.Key] is JsonObject rule ? Accepts(rule, member.Value) : !closed);
    }

    private static bool HasType(string type, JsonNode? value)
    {
        JsonValueKind kind = value?.GetValueKind() ?? JsonValueKind.Null;
        return type switch
        {
            "object" => kind == JsonValueKind.Object,
            "array" => kind == JsonValueKind.Array,
            "string" => kind == JsonValueKind.String,
            "number" => kind == JsonValueKind.Number,
            "integer" => kind == JsonValueKind.Number && value!.AsValue().TryGetValue(out decimal number) && number == decimal.Truncate(number),
            "boolean" => kind is JsonValueKind.True or JsonValueKind.False,
            "null" => kind == JsonValueKind.Null,
            _ => throw new FormatException($"json_schema: type '{type}' is unknown"),
        };
    }
}
