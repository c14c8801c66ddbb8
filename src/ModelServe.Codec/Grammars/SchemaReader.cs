using System.Globalization;
using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Reads a JSON Schema (draft 4 to 2020-12): follows local references and merges what holds at once. Pure.</summary>
/// <remarks>
/// Annotations and unknown keywords hold nothing, as the specification says. An assertion that is known and not offered is
/// refused with its place: <c>if</c>, <c>dependent…</c>, <c>contains</c>, <c>unevaluated…</c>, a reference that leaves the document.
/// </remarks>
internal sealed class SchemaReader
{
    private static readonly string[] Refused =
    [
        "if", "then", "else", "dependencies", "dependentRequired", "dependentSchemas", "contains", "minContains", "unevaluatedProperties", "unevaluatedItems",
        "$dynamicRef", "$recursiveRef",
    ];

    private readonly JsonElement _root;
    private readonly GrammarLimits _limits;
    private int _read;

    /// <summary>A reader of one document.</summary>
    public SchemaReader(JsonElement root, GrammarLimits limits)
    {
        _root = root;
        _limits = limits;
    }

    /// <summary>What holds for a value of every one of the schemas.</summary>
    /// <param name="schemas">The schemas.</param>
    /// <param name="choices">Groups of schemas of which one must hold beside the shape; of those marked, exactly one.</param>
    /// <returns>The merged keywords; null when nothing can match.</returns>
    public SchemaShape? Read(IReadOnlyList<SchemaAt> schemas, out List<(List<SchemaAt> Options, bool IsExclusive, string Place)> choices)
    {
        choices = [];
        var shape = new SchemaShape();
        var open = new Queue<SchemaAt>(schemas);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (open.TryDequeue(out SchemaAt schema))
        {
            if (!seen.Add(schema.Place))
            {
                continue;
            }

            _limits.Cancellation.ThrowIfCancellationRequested();
            if (++_read > _limits.Schemas)
            {
                throw new InvalidGrammarException(schema.Place, $"at most {_limits.Schemas} schemas; this one has more");
            }

            if (schema.Element.ValueKind == JsonValueKind.False)
            {
                return null;
            }

            if (schema.Element.ValueKind == JsonValueKind.True)
            {
                continue;
            }

            if (schema.Element.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidGrammarException(schema.Place, $"a schema is an object or a boolean; got {schema.Element.ValueKind}");
            }

            foreach (SchemaAt also in Combined(schema, choices))
            {
                open.Enqueue(also);
            }

            if (!IsReferenceOnly(schema))
            {
                SchemaKeywords.Merge(schema, shape);
            }
        }

        return shape.Kinds == ValueKinds.None ? null : shape;
    }

    /// <summary>The schema that a local reference names.</summary>
    public SchemaAt Resolve(string reference, string place)
    {
        if (!reference.StartsWith('#'))
        {
            throw new InvalidGrammarException(place, $"a reference into this schema, beginning with '#'; got '{Short(reference)}'", isUnsupported: true);
        }

        if (reference is "#" or "#/")
        {
            return new SchemaAt(_root, "#");
        }

        JsonElement element = _root;
        if (!reference.StartsWith("#/", StringComparison.Ordinal))
        {
            throw new InvalidGrammarException(place, $"a reference by JSON pointer; got '{Short(reference)}'", isUnsupported: true);
        }

        foreach (string part in reference[2..].Split('/'))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            bool isThere = element.ValueKind switch
            {
                JsonValueKind.Object => element.TryGetProperty(name, out element),
                JsonValueKind.Array => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < element.GetArrayLength()
                    && (element = element[index]).ValueKind != JsonValueKind.Undefined,
                _ => false,
            };
            if (!isThere)
            {
                throw new InvalidGrammarException(place, $"a reference to something in this schema; '{Short(reference)}' is not there");
            }
        }

        return new SchemaAt(element, reference);
    }

    private static string Short(string text) => text.Length <= 64 ? text : text[..64] + "…";

    // Before draft 2019-09 a reference hid its neighbours; since then they hold beside it, which is what is done here.
    private static bool IsReferenceOnly(SchemaAt schema) =>
        schema.Element.TryGetProperty("$ref", out JsonElement _) && schema.Element.EnumerateObject().Count() == 1;

    private List<SchemaAt> Combined(SchemaAt schema, List<(List<SchemaAt> Options, bool IsExclusive, string Place)> choices)
    {
        foreach (string keyword in Refused)
        {
            if (schema.Element.TryGetProperty(keyword, out JsonElement value) && !IsEmpty(value))
            {
                throw new InvalidGrammarException(schema.Place, $"the keyword '{keyword}' is not supported", isUnsupported: true);
            }
        }

        var also = new List<SchemaAt>();
        if (schema.Element.TryGetProperty("$ref", out JsonElement reference))
        {
            string target = reference.ValueKind == JsonValueKind.String
                ? reference.GetString()!
                : throw new InvalidGrammarException(schema.Place + "/$ref", "a reference is a string");
            also.Add(Resolve(target, schema.Place + "/$ref"));
        }

        also.AddRange(Members(schema, "allOf"));
        foreach ((string keyword, bool isExclusive) in new[] { ("anyOf", false), ("oneOf", true) })
        {
            if (Members(schema, keyword) is { Count: > 0 } options)
            {
                choices.Add((options, isExclusive && options.Count > 1, $"{schema.Place}/{keyword}"));
            }
        }

        return also;
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind is JsonValueKind.True
        || (value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());

    private static List<SchemaAt> Members(SchemaAt schema, string keyword)
    {
        if (!schema.Element.TryGetProperty(keyword, out JsonElement array))
        {
            return [];
        }

        if (array.ValueKind != JsonValueKind.Array || array.GetArrayLength() == 0)
        {
            throw new InvalidGrammarException($"{schema.Place}/{keyword}", "an array of at least one schema");
        }

        return [.. array.EnumerateArray().Select((element, i) => new SchemaAt(element, string.Create(CultureInfo.InvariantCulture, $"{schema.Place}/{keyword}/{i}")))];
    }
}
