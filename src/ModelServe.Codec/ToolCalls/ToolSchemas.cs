using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Codec.ToolCalls;

/// <summary>What the parameters of a request's tools may be, for formats that write values as plain text.</summary>
internal sealed class ToolSchemas
{
    private readonly Dictionary<(string Tool, string Parameter), JsonTypes> _types = [];
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <summary>Reads tool definitions in the OpenAI shape; what has another shape says nothing about types.</summary>
    public ToolSchemas(JsonArray? tools)
    {
        foreach (JsonNode? tool in tools ?? [])
        {
            JsonObject? function = (tool as JsonObject)?["function"] as JsonObject ?? tool as JsonObject;
            if (Text(function?["name"]) is not { } name)
            {
                continue;
            }

            _names.Add(name);
            if (function!["parameters"] is JsonObject root && root["properties"] is JsonObject properties)
            {
                foreach ((string parameter, JsonNode? schema) in properties)
                {
                    _types[(name, parameter)] = Types(schema, root, depth: 0);
                }
            }
        }
    }

    /// <summary>The tools' names.</summary>
    public IReadOnlySet<string> Names => _names;

    /// <summary>The types besides strings that a parameter may have; text where nothing is known.</summary>
    public JsonTypes TypesOf(string tool, string parameter) => _types.GetValueOrDefault((tool, parameter));

    /// <summary>The JSON of a value written as text: of the first type that it fits, else a string.</summary>
    public static string ToJson(string value, JsonTypes types)
    {
        string text = value.Trim();
        if (types.HasFlag(JsonTypes.Null) && text is "null" or "None")
        {
            return "null";
        }

        if (types.HasFlag(JsonTypes.Boolean) && bool.TryParse(text, out bool flag))
        {
            return flag ? "true" : "false";
        }

        bool number = text.Length > 0 && (text[0] == '-' || char.IsAsciiDigit(text[0]));
        bool fits = (types.HasFlag(JsonTypes.Number) && number)
            || (types.HasFlag(JsonTypes.Array) && text.StartsWith('['))
            || (types.HasFlag(JsonTypes.Object) && text.StartsWith('{'));
        if (fits && JsonScanner.IsValue(text))
        {
            return text;
        }

        // Templates print lists the way Python does, and models imitate them.
        var converted = new StringBuilder();
        return fits && PythonLiteral.TryConvert(text, converted) ? converted.ToString() : JsonText.Quote(value);
    }

    private static JsonTypes Types(JsonNode? schema, JsonObject root, int depth)
    {
        JsonTypes types = JsonTypes.Text;
        if (schema is not JsonObject members || depth > 8)
        {
            return types;
        }

        types |= members["type"] is JsonArray several
            ? several.Aggregate(JsonTypes.Text, (all, one) => all | Named(Text(one)))
            : Named(Text(members["type"]));
        foreach (string choice in (string[])["anyOf", "oneOf"])
        {
            foreach (JsonNode? option in members[choice] as JsonArray ?? [])
            {
                types |= Types(option, root, depth + 1);
            }
        }

        if (Text(members["$ref"]) is { } reference)
        {
            types |= Types(Resolve(reference, root), root, depth + 1);
        }

        if (members["type"] is null)
        {
            types = (members["enum"] as JsonArray ?? []).Append(members["const"]).Aggregate(types, (all, value) => all | Of(value, members));
        }

        return members["nullable"] is JsonValue nullable && nullable.GetValueKind() == JsonValueKind.True ? types | JsonTypes.Null : types;
    }

    private static JsonNode? Resolve(string reference, JsonObject root)
    {
        JsonNode? at = reference == "#" || reference.StartsWith("#/", StringComparison.Ordinal) ? root : null;
        foreach (string part in reference.Split('/').Skip(1))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            at = (at as JsonObject)?[name];
        }

        return at;
    }

    private static JsonTypes Of(JsonNode? value, JsonObject schema) => value?.GetValueKind() switch
    {
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        JsonValueKind.Number => JsonTypes.Number,
        JsonValueKind.Array => JsonTypes.Array,
        JsonValueKind.Object => JsonTypes.Object,
        // A constant that is absent is null here too.
        null when schema.TryGetPropertyValue("const", out JsonNode? given) && given is null => JsonTypes.Null,
        null when schema["enum"] is JsonArray values && values.Any(one => one is null) => JsonTypes.Null,
        _ => JsonTypes.Text,
    };

    private static JsonTypes Named(string? name) => name switch
    {
        "null" => JsonTypes.Null,
        "boolean" => JsonTypes.Boolean,
        "integer" or "number" => JsonTypes.Number,
        "array" => JsonTypes.Array,
        "object" => JsonTypes.Object,
        _ => JsonTypes.Text,
    };

    private static string? Text(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
}
