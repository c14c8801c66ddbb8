using System.Text.Json;
using System.Text.RegularExpressions;

namespace ModelServe.Codec.Tests.CallGrammars;

/// <summary>A plain reading of the few keywords that these tests' schemas use, to judge arguments by something else than the grammar.</summary>
internal static class SchemaCheck
{
    /// <summary>Why the value does not fit the schema; null if it does.</summary>
    public static string? Fault(JsonElement value, JsonElement schema, JsonElement root, string path = "$")
    {
        foreach (JsonProperty keyword in schema.EnumerateObject())
        {
            string? fault = Fault(value, keyword, schema, root, path);
            if (fault is not null)
            {
                return fault;
            }
        }

        return null;
    }

    private static string? Fault(JsonElement value, JsonProperty keyword, JsonElement schema, JsonElement root, string path)
    {
        JsonElement rule = keyword.Value;
        bool ok = keyword.Name switch
        {
            "type" => rule.ValueKind == JsonValueKind.Array ? rule.EnumerateArray().Any(one => Is(value, one.GetString()!)) : Is(value, rule.GetString()!),
            "enum" => rule.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value)),
            "minimum" => value.ValueKind != JsonValueKind.Number || value.GetDouble() >= rule.GetDouble(),
            "maximum" => value.ValueKind != JsonValueKind.Number || value.GetDouble() <= rule.GetDouble(),
            "minLength" => value.ValueKind != JsonValueKind.String || Length(value) >= rule.GetInt32(),
            "maxLength" => value.ValueKind != JsonValueKind.String || Length(value) <= rule.GetInt32(),
            "pattern" => value.ValueKind != JsonValueKind.String || Regex.IsMatch(value.GetString()!, rule.GetString()!, RegexOptions.ECMAScript),
            "required" => value.ValueKind != JsonValueKind.Object || rule.EnumerateArray().All(name => value.TryGetProperty(name.GetString()!, out _)),
            "additionalProperties" => value.ValueKind != JsonValueKind.Object || rule.ValueKind != JsonValueKind.False
                || value.EnumerateObject().All(one => schema.GetProperty("properties").TryGetProperty(one.Name, out _)),
            "anyOf" => rule.EnumerateArray().Any(one => Fault(value, one, root, path) is null),
            "maxItems" => value.ValueKind != JsonValueKind.Array || value.GetArrayLength() <= rule.GetInt32(),
            "$ref" or "properties" or "items" or "$defs" or "description" => true,
            _ => throw new InvalidOperationException(keyword.Name),
        };
        if (!ok)
        {
            return $"{path}: {value.GetRawText()} does not keep {keyword.Name} {rule.GetRawText()}";
        }

        return keyword.Name switch
        {
            "$ref" => Fault(value, rule.GetString()!.Split('/').Skip(1).Aggregate(root, (at, part) => at.GetProperty(part)), root, path),
            "items" when value.ValueKind == JsonValueKind.Array => value.EnumerateArray().Select(item => Fault(item, rule, root, path + "[]")).FirstOrDefault(fault => fault is not null),
            "properties" when value.ValueKind == JsonValueKind.Object => rule.EnumerateObject()
                .Select(one => value.TryGetProperty(one.Name, out JsonElement inner) ? Fault(inner, one.Value, root, $"{path}.{one.Name}") : null).FirstOrDefault(fault => fault is not null),
            _ => null,
        };
    }

    private static int Length(JsonElement value) => value.GetString()!.EnumerateRunes().Count();

    private static bool Is(JsonElement value, string type) => type switch
    {
        "string" => value.ValueKind == JsonValueKind.String,
        "integer" => value.ValueKind == JsonValueKind.Number && double.IsInteger(value.GetDouble()),
        "number" => value.ValueKind == JsonValueKind.Number,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "array" => value.ValueKind == JsonValueKind.Array,
        _ => value.ValueKind == JsonValueKind.Object,
    };
}
