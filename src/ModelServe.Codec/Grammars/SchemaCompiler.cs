using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Turns schemas into rules: one rule for each set of schemas that hold at once, so that recursive schemas end. Not thread-safe.</summary>
/// <remarks>
/// Properties come in the order in which the schema names them, then others. An object may repeat a name that the schema does not
/// mention, which no automaton can prevent. Of <c>oneOf</c> the options must be told apart by type, constants or required names.
/// </remarks>
internal sealed class SchemaCompiler
{
    private readonly GrammarBuilder _builder;
    private readonly JsonRules _json;
    private readonly SchemaReader _reader;
    private readonly ObjectRules _objects;
    private readonly StringRules _strings;
    private readonly Dictionary<string, int> _rules = new(StringComparer.Ordinal);
    private readonly Queue<(int Rule, IReadOnlyList<SchemaAt> Schemas)> _open = new();

    /// <summary>A compiler of one document.</summary>
    public SchemaCompiler(GrammarBuilder builder, JsonRules json, JsonElement root)
    {
        _builder = builder;
        _json = json;
        _reader = new SchemaReader(root, builder.Limits);
        _strings = new StringRules(builder, json);
        _objects = new ObjectRules(json, _strings, RuleFor, builder.Limits);
    }

    /// <summary>The rule of the whole document.</summary>
    /// <exception cref="InvalidGrammarException">The schema is malformed, too large, or asks for what is not supported.</exception>
    public int Compile(JsonElement root)
    {
        int rule = RuleFor([new SchemaAt(root, "#")]).Rule;
        Finish();
        return rule;
    }

    /// <summary>Defines the rules that were asked for, and those that they ask for.</summary>
    /// <exception cref="InvalidGrammarException">A schema is malformed, too large, or asks for what is not supported.</exception>
    public void Finish()
    {
        // One after the other instead of inside each other, because schemas nest as deep as they like.
        while (_open.TryDequeue(out (int Rule, IReadOnlyList<SchemaAt> Schemas) next))
        {
            Define(next.Rule, next.Schemas);
        }
    }

    /// <summary>What holds for a value of every one of the schemas, once for each way through their alternatives.</summary>
    /// <exception cref="InvalidGrammarException">The alternatives nest too deeply, or stand for themselves.</exception>
    public List<SchemaShape> Shapes(IReadOnlyList<SchemaAt> schemas, int depth = 0)
    {
        if (depth > _builder.Limits.Depth)
        {
            throw new InvalidGrammarException(schemas[0].Place, $"at most {_builder.Limits.Depth} alternatives inside each other");
        }

        SchemaShape? shape = _reader.Read(schemas, out List<(List<SchemaAt> Options, bool IsExclusive, string Place)> choices);
        if (shape is null)
        {
            return [];
        }

        if (choices.Count == 0)
        {
            return [shape];
        }

        (List<SchemaAt> options, bool isExclusive, string place) = choices[0];
        List<SchemaAt> rest = WithoutGroup(schemas, place);
        if (isExclusive)
        {
            SchemaDisjointness.Require(options, rest, _reader, place);
        }

        return [.. options.SelectMany(option => Shapes([.. rest, option], depth + 1))];
    }

    /// <summary>The named properties of an object, in order; null when a required one cannot be.</summary>
    public List<(string Name, List<SchemaAt> Schemas, bool IsRequired)>? Properties(SchemaShape shape) => _objects.Named(shape);

    private void Define(int rule, IReadOnlyList<SchemaAt> schemas)
    {
        try
        {
            _builder.Define(rule, Body(schemas));
        }
        catch (InvalidGrammarException exception) when (!exception.Place.StartsWith('#') && schemas.Count > 0)
        {
            // What builds numbers, strings and objects knows the keyword, and not where its schema stands.
            string place = exception.Place.Length == 0 ? schemas[0].Place : $"{schemas[0].Place}/{exception.Place}";
            string reason = exception.Place.Length == 0 ? exception.Message : exception.Message[(exception.Place.Length + 2)..];
            throw new InvalidGrammarException(place, reason, exception.IsUnsupported);
        }
    }

    /// <summary>The rule of a value of every one of the schemas; it is defined by <see cref="Finish"/>.</summary>
    public RuleNode.Call RuleFor(IReadOnlyList<SchemaAt> schemas)
    {
        SchemaAt[] distinct = [.. schemas.DistinctBy(schema => schema.Place).OrderBy(schema => schema.Place, StringComparer.Ordinal)];
        string key = string.Join('\n', distinct.Select(schema => schema.Place));
        if (!_rules.TryGetValue(key, out int rule))
        {
            rule = _builder.Declare(distinct.Length == 0 ? "#" : distinct[0].Place);
            _rules.Add(key, rule);
            _open.Enqueue((rule, schemas));
        }

        return new RuleNode.Call(rule);
    }

    private RuleNode Body(IReadOnlyList<SchemaAt> schemas)
    {
        SchemaShape? shape = _reader.Read(schemas, out List<(List<SchemaAt> Options, bool IsExclusive, string Place)> choices);
        if (shape is null)
        {
            return RuleNode.Never;
        }

        if (choices.Count == 0)
        {
            return Plain(shape);
        }

        // The first group is spread over everything else; the other groups come up again inside each option.
        (List<SchemaAt> options, bool isExclusive, string place) = choices[0];
        List<SchemaAt> rest = WithoutGroup(schemas, place);
        if (isExclusive)
        {
            SchemaDisjointness.Require(options, rest, _reader, place);
        }

        return RuleNode.Either([.. options.Select(option => RuleFor([.. rest, option]))]);
    }

    // The same schemas with the references followed and the one group taken away.
    private List<SchemaAt> WithoutGroup(IReadOnlyList<SchemaAt> schemas, string place)
    {
        string keyword = place[(place.LastIndexOf('/') + 1)..];
        string owner = place[..^(keyword.Length + 1)];
        var rest = new List<SchemaAt>();
        var open = new Queue<SchemaAt>(schemas);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (open.TryDequeue(out SchemaAt schema))
        {
            if (!seen.Add(schema.Place))
            {
                continue;
            }

            if (schema.Element.ValueKind != JsonValueKind.Object)
            {
                rest.Add(schema);
                continue;
            }

            string name = schema.Place;
            JsonElement element = schema.Element;
            if (element.TryGetProperty("$ref", out JsonElement reference))
            {
                open.Enqueue(_reader.Resolve(reference.GetString()!, schema.Place + "/$ref"));
                (element, name) = Without(element, name, "$ref");
            }

            if (element.TryGetProperty("allOf", out JsonElement all))
            {
                for (int i = 0; i < all.GetArrayLength(); i++)
                {
                    open.Enqueue(new SchemaAt(all[i], $"{schema.Place}/allOf/{i.ToString(System.Globalization.CultureInfo.InvariantCulture)}"));
                }

                (element, name) = Without(element, name, "allOf");
            }

            if (schema.Place == owner)
            {
                (element, name) = Without(element, name, keyword);
            }

            rest.Add(new SchemaAt(element, name));
        }

        return rest;
    }

    private static (JsonElement Element, string Place) Without(JsonElement element, string place, string keyword)
    {
        var kept = element.EnumerateObject().Where(p => p.Name != keyword).ToDictionary(p => p.Name, p => p.Value);
        return (JsonSerializer.SerializeToElement(kept, GrammarJson.Default.DictionaryStringJsonElement), $"{place} without {keyword}");
    }

    private RuleNode Plain(SchemaShape shape)
    {
        if (shape.Constants is { } constants)
        {
            return RuleNode.Either([.. constants.Where(value => SchemaConstants.Admits(shape, value, _strings)).Select(_json.Constant)]);
        }

        if (shape.Kinds == ValueKinds.All && !shape.BoundsStrings && !shape.BoundsObjects && !shape.BoundsArrays
            && shape.Low is null && shape.High is null && shape.Multiples.Count == 0)
        {
            return _json.Value;
        }

        var options = new List<RuleNode>();
        void Add(ValueKinds kind, Func<RuleNode> node)
        {
            if ((shape.Kinds & kind) != 0)
            {
                options.Add(node());
            }
        }

        Add(ValueKinds.Null, () => _json.Null);
        Add(ValueKinds.Boolean, () => _json.Boolean);
        Add(ValueKinds.Number, () => NumberRules.Of(shape, _builder.Limits));
        Add(ValueKinds.String, () => _strings.Of(shape));
        Add(ValueKinds.Array, () => Array(shape));
        Add(ValueKinds.Object, () => shape.BoundsObjects ? _objects.Of(shape) : _json.Object);
        return RuleNode.Either(options);
    }

    private RuleNode Array(SchemaShape shape)
    {
        if (shape.HasUniqueItems && shape.MaxItems is not (0 or 1))
        {
            throw new InvalidGrammarException("uniqueItems", "items that must differ are not supported", isUnsupported: true);
        }

        if (shape.MaxItems is { } most && most < shape.MinItems)
        {
            return RuleNode.Never;
        }

        RuleNode Item(int at) => RuleFor([.. shape.Items.SelectMany(one =>
            at < one.First.Count ? [one.First[at]] : one.After is { } rest ? new[] { rest } : [])]);

        // State i: i items are there. From the last state on all items are alike.
        int first = shape.Items.Count == 0 ? 0 : shape.Items.Max(one => one.First.Count);
        int last = shape.MaxItems ?? Math.Max(Math.Max(first, shape.MinItems), 1);
        if (last > _builder.Limits.RuleStates)
        {
            throw new InvalidGrammarException("maxItems", $"at most {_builder.Limits.RuleStates}; got {last}");
        }

        var moves = new List<(int, RuleNode, int)>();
        var ends = new List<int>();
        for (int i = 0; i <= last; i++)
        {
            if (i >= shape.MinItems)
            {
                ends.Add(last + 1 + Math.Min(i, 1));
                moves.Add((i, i == 0 ? RuleNode.Empty : _json.Space, last + 1 + Math.Min(i, 1)));
            }

            int next = i < last ? i + 1 : shape.MaxItems is null ? i : -1;
            if (next >= 0)
            {
                RuleNode item = Item(i);
                moves.Add((i, i == 0 ? item : RuleNode.Then(RuleNode.Text(","), _json.Space, item), next));
            }
        }

        return RuleNode.Then(RuleNode.Text("["), _json.Space, new RuleNode.Graph(last + 3, moves, ends), RuleNode.Text("]"));
    }
}
