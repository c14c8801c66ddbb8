using System.Globalization;
using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Merges the keywords of one schema into what holds already. Pure but for the shape it fills.</summary>
internal static class SchemaKeywords
{
    /// <summary>Merges every keyword but references and combinations.</summary>
    /// <exception cref="InvalidGrammarException">A keyword has a value of the wrong kind.</exception>
    public static void Merge(SchemaAt schema, SchemaShape shape)
    {
        foreach (JsonProperty keyword in schema.Element.EnumerateObject())
        {
            string place = $"{schema.Place}/{keyword.Name}";
            JsonElement value = keyword.Value;
            switch (keyword.Name)
            {
                case "type":
                    shape.Kinds &= Kinds(value, place);
                    break;
                case "const":
                    Restrict(shape, [value]);
                    break;
                case "enum":
                    Restrict(shape, [.. Array(value, place)]);
                    break;
                case "nullable" when value.ValueKind == JsonValueKind.True:
                    throw new InvalidGrammarException(place, "'nullable' is not JSON Schema; say \"type\": [..., \"null\"]", isUnsupported: true);
                case "not":
                    SchemaNegation.Merge(new SchemaAt(value, place), shape);
                    break;
                case "required" when value.ValueKind is not (JsonValueKind.True or JsonValueKind.False):
                    foreach (JsonElement name in Array(value, place))
                    {
                        AddOnce(shape.Required, Text(name, place));
                    }

                    break;
                case "propertyNames":
                    shape.PropertyNames.Add(new SchemaAt(value, place));
                    break;
                case "minProperties":
                    shape.MinProperties = Math.Max(shape.MinProperties, Count(value, place));
                    break;
                case "maxProperties":
                    shape.MaxProperties = Least(shape.MaxProperties, Count(value, place));
                    break;
                case "minItems":
                    shape.MinItems = Math.Max(shape.MinItems, Count(value, place));
                    break;
                case "maxItems":
                    shape.MaxItems = Least(shape.MaxItems, Count(value, place));
                    break;
                case "uniqueItems":
                    shape.HasUniqueItems |= value.ValueKind == JsonValueKind.True;
                    break;
                case "minLength":
                    shape.MinLength = Math.Max(shape.MinLength, Count(value, place));
                    break;
                case "maxLength":
                    shape.MaxLength = Least(shape.MaxLength, Count(value, place));
                    break;
                case "pattern":
                    shape.Patterns.Add((Text(value, place), place));
                    break;
                case "format" when value.ValueKind == JsonValueKind.String && StringFormats.PatternOf(value.GetString()!) is { } pattern:
                    shape.Patterns.Add(($"^({pattern})$", place));
                    break;
                case "multipleOf":
                    shape.Multiples.Add((Number(value, place), place));
                    break;
                case "minimum":
                    Raise(shape, Number(value, place), IsTrue(schema, "exclusiveMinimum"), place);
                    break;
                case "maximum":
                    Lower(shape, Number(value, place), IsTrue(schema, "exclusiveMaximum"), place);
                    break;
                case "exclusiveMinimum" when value.ValueKind == JsonValueKind.Number:
                    Raise(shape, Number(value, place), true, place);
                    break;
                case "exclusiveMaximum" when value.ValueKind == JsonValueKind.Number:
                    Lower(shape, Number(value, place), true, place);
                    break;
                default:
                    break;
            }
        }

        MergeProperties(schema, shape);
        MergeItems(schema, shape);
    }

    /// <summary>The kinds that a type keyword names.</summary>
    public static ValueKinds Kinds(JsonElement type, string place)
    {
        if (type.ValueKind == JsonValueKind.Array)
        {
            return type.EnumerateArray().Aggregate(ValueKinds.None, (kinds, one) => kinds | Kinds(one, place));
        }

        return Text(type, place) switch
        {
            "null" => ValueKinds.Null,
            "boolean" => ValueKinds.Boolean,
            "integer" => ValueKinds.Integer,
            "number" => ValueKinds.Number,
            "string" => ValueKinds.String,
            "array" => ValueKinds.Array,
            "object" => ValueKinds.Object,
            "any" => ValueKinds.All,
            var other => throw new InvalidGrammarException(place, $"a JSON type; got '{(other.Length <= 64 ? other : other[..64])}'"),
        };
    }

    private static void MergeProperties(SchemaAt schema, SchemaShape shape)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var patterns = new List<string>();
        foreach ((string name, SchemaAt property) in Named(schema, "properties"))
        {
            names.Add(name);
            int at = shape.Properties.FindIndex(known => known.Name == name);
            if (at < 0)
            {
                shape.Properties.Add((name, []));
                at = shape.Properties.Count - 1;
            }

            shape.Properties[at].Schemas.Add(property);
            if (property.Element.ValueKind == JsonValueKind.Object && property.Element.TryGetProperty("required", out JsonElement own) && own.ValueKind == JsonValueKind.True)
            {
                AddOnce(shape.Required, name); // draft 3
            }
        }

        foreach ((string pattern, SchemaAt property) in Named(schema, "patternProperties"))
        {
            patterns.Add(pattern);
            shape.PatternProperties.Add((pattern, property));
        }

        if (schema.Element.TryGetProperty("additionalProperties", out JsonElement rest))
        {
            shape.Additional.Add((names, patterns, new SchemaAt(rest, schema.Place + "/additionalProperties")));
        }
    }

    private static void MergeItems(SchemaAt schema, SchemaShape shape)
    {
        var first = new List<SchemaAt>();
        SchemaAt? rest = null;
        if (schema.Element.TryGetProperty("prefixItems", out JsonElement prefix))
        {
            first.AddRange(Listed(prefix, schema.Place + "/prefixItems"));
        }

        if (schema.Element.TryGetProperty("items", out JsonElement items))
        {
            if (items.ValueKind == JsonValueKind.Array)
            {
                first.AddRange(Listed(items, schema.Place + "/items"));
                rest = schema.Element.TryGetProperty("additionalItems", out JsonElement more) ? new SchemaAt(more, schema.Place + "/additionalItems") : null;
            }
            else
            {
                rest = new SchemaAt(items, schema.Place + "/items");
            }
        }

        if (first.Count > 0 || rest is not null)
        {
            shape.Items.Add((first, rest));
        }
    }

    private static IEnumerable<(string Name, SchemaAt Schema)> Named(SchemaAt schema, string keyword)
    {
        if (!schema.Element.TryGetProperty(keyword, out JsonElement map))
        {
            return [];
        }

        string place = $"{schema.Place}/{keyword}";
        return map.ValueKind == JsonValueKind.Object
            ? map.EnumerateObject().Select(p => (p.Name, new SchemaAt(p.Value, $"{place}/{p.Name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}")))
            : throw new InvalidGrammarException(place, "an object of schemas");
    }

    private static IEnumerable<SchemaAt> Listed(JsonElement array, string place) =>
        Array(array, place).Select((element, i) => new SchemaAt(element, string.Create(CultureInfo.InvariantCulture, $"{place}/{i}")));

    private static void Restrict(SchemaShape shape, List<JsonElement> values) => shape.Constants = shape.Constants is null
        ? values
        : [.. shape.Constants.Where(known => values.Any(value => JsonElement.DeepEquals(known, value)))];

    private static void Raise(SchemaShape shape, string number, bool isExclusive, string place)
    {
        NumberRange.Bound bound = ParseBound(number, isExclusive, place);
        int order = shape.Low is { } low ? bound.CompareTo(low) : 1;
        shape.Low = order > 0 || (order == 0 && isExclusive) ? bound : shape.Low;
    }

    private static void Lower(SchemaShape shape, string number, bool isExclusive, string place)
    {
        NumberRange.Bound bound = ParseBound(number, isExclusive, place);
        int order = shape.High is { } high ? bound.CompareTo(high) : -1;
        shape.High = order < 0 || (order == 0 && isExclusive) ? bound : shape.High;
    }

    private static NumberRange.Bound ParseBound(string number, bool isExclusive, string place) =>
        NumberRange.Bound.Parse(number, isExclusive) ?? throw new InvalidGrammarException(place, "a number of at most 400 digits");

    private static bool IsTrue(SchemaAt schema, string keyword) =>
        schema.Element.TryGetProperty(keyword, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    private static int? Least(int? known, int value) => known is { } other ? Math.Min(other, value) : value;

    private static void AddOnce(List<string> names, string name)
    {
        if (!names.Contains(name))
        {
            names.Add(name);
        }
    }

    private static JsonElement.ArrayEnumerator Array(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw new InvalidGrammarException(place, $"an array; got {value.ValueKind}");

    private static string Text(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new InvalidGrammarException(place, $"a string; got {value.ValueKind}");

    private static string Number(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.Number ? value.GetRawText() : throw new InvalidGrammarException(place, $"a number; got {value.ValueKind}");

    private static int Count(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= 0 && number <= int.MaxValue && number == Math.Floor(number)
            ? (int)number
            : throw new InvalidGrammarException(place, "a whole number, zero or more");
}
