using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>The negations that can be kept exactly: of types, of given texts, of required names, of everything and of nothing.</summary>
internal static class SchemaNegation
{
    /// <summary>Merges "not this schema" into a shape.</summary>
    /// <exception cref="InvalidGrammarException">The schema is malformed, or its negation is not supported.</exception>
    public static void Merge(SchemaAt schema, SchemaShape shape)
    {
        JsonElement element = schema.Element;
        if (element.ValueKind == JsonValueKind.False)
        {
            return;
        }

        JsonProperty[] keywords = element.ValueKind == JsonValueKind.Object ? [.. element.EnumerateObject()] : [];
        if (element.ValueKind == JsonValueKind.True || (element.ValueKind == JsonValueKind.Object && keywords.Length == 0))
        {
            shape.Kinds = ValueKinds.None;
            return;
        }

        if (keywords.Length == 1)
        {
            JsonElement value = keywords[0].Value;
            switch (keywords[0].Name)
            {
                case "type":
                    ValueKinds kinds = SchemaKeywords.Kinds(value, schema.Place + "/type");
                    shape.Kinds &= ~kinds;
                    return;
                case "const" when value.ValueKind == JsonValueKind.String:
                    shape.ForbiddenTexts.Add(value.GetString()!);
                    return;
                case "const" when value.ValueKind == JsonValueKind.Null:
                    shape.Kinds &= ~ValueKinds.Null;
                    return;
                case "enum" when value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.String):
                    shape.ForbiddenTexts.AddRange(value.EnumerateArray().Select(v => v.GetString()!));
                    return;
                case "required" when value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1 && value[0].ValueKind == JsonValueKind.String:
                    // What is no object has every required name, in a manner of speaking, so only objects are left.
                    shape.Kinds &= ValueKinds.Object;
                    shape.Forbidden.Add(value[0].GetString()!);
                    return;
                default:
                    break;
            }
        }

        throw new InvalidGrammarException(schema.Place, "this negation is not supported", isUnsupported: true);
    }
}
