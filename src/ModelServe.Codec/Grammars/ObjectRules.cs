using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Objects with named, patterned and further properties. Not thread-safe.</summary>
internal sealed class ObjectRules
{
    // Each pattern doubles the kinds of names that must be told apart.
    private const int MostPatterns = 4;

    private readonly JsonRules _json;
    private readonly StringRules _strings;
    private readonly Func<IReadOnlyList<SchemaAt>, RuleNode> _ruleFor;
    private readonly GrammarLimits _limits;

    /// <summary>Object rules of one grammar.</summary>
    public ObjectRules(JsonRules json, StringRules strings, Func<IReadOnlyList<SchemaAt>, RuleNode> ruleFor, GrammarLimits limits)
    {
        _json = json;
        _strings = strings;
        _ruleFor = ruleFor;
        _limits = limits;
    }

    /// <summary>The objects that a shape admits.</summary>
    public RuleNode Of(SchemaShape shape)
    {
        if (Named(shape) is not { } named)
        {
            return RuleNode.Never;
        }

        RuleNode? further = Further(shape, [.. named.Select(p => p.Name), .. shape.Forbidden, .. shape.Properties.Select(p => p.Name)]);
        int required = named.Count(p => p.IsRequired);
        int? most = further is null ? named.Count : null;
        int fewest = shape.MinProperties > required ? shape.MinProperties : 0;
        int? bound = shape.MaxProperties is { } max && (most is null || max < most) ? max : null;
        if (most < fewest || bound < required)
        {
            return RuleNode.Never;
        }

        return RuleNode.Then(RuleNode.Text("{"), _json.Space, Members(named, further, fewest, bound), RuleNode.Text("}"));
    }

    // State (i, c): the names before i are settled and c properties are there. Counts beyond what bounds ask are not told apart.
    private RuleNode.Graph Members(List<(string Name, List<SchemaAt> Schemas, bool IsRequired)> named, RuleNode? further, int fewest, int? most)
    {
        int last = Math.Max(Math.Max(fewest, most ?? 0), 1);
        if ((long)(named.Count + 1) * (last + 1) > _limits.RuleStates)
        {
            throw new InvalidGrammarException("maxProperties", $"at most {_limits.RuleStates} combinations of properties and counts");
        }

        int State(int i, int count) => (i * (last + 1)) + count;
        var moves = new List<(int, RuleNode, int)>();
        int end = State(named.Count + 1, 0);
        for (int i = 0; i <= named.Count; i++)
        {
            for (int count = 0; count <= last; count++)
            {
                int next = count < last ? count + 1 : most is null ? count : -1;
                RuleNode comma = count == 0 ? RuleNode.Empty : RuleNode.Then(RuleNode.Text(","), _json.Space);
                if (i == named.Count)
                {
                    if (further is not null && next >= 0)
                    {
                        moves.Add((State(i, count), RuleNode.Then(comma, further), State(i, next)));
                    }

                    if (count >= fewest)
                    {
                        moves.Add((State(i, count), count == 0 ? RuleNode.Empty : _json.Space, end));
                    }

                    continue;
                }

                if (next >= 0)
                {
                    RuleNode pair = _json.Pair(_json.Text(named[i].Name), _ruleFor(named[i].Schemas));
                    moves.Add((State(i, count), RuleNode.Then(comma, pair), State(i + 1, next)));
                }

                if (!named[i].IsRequired)
                {
                    moves.Add((State(i, count), RuleNode.Empty, State(i + 1, count)));
                }
            }
        }

        return new RuleNode.Graph(end + 1, moves, [end]);
    }

    /// <summary>The properties with a name of their own, in order; null when a required one cannot be.</summary>
    public List<(string Name, List<SchemaAt> Schemas, bool IsRequired)>? Named(SchemaShape shape)
    {
        var named = new List<(string, List<SchemaAt>, bool)>();
        foreach (string name in shape.Properties.Select(p => p.Name).Concat(shape.Required).Distinct(StringComparer.Ordinal))
        {
            List<SchemaAt> schemas = SchemasOf(shape, name);
            bool isRequired = shape.Required.Contains(name);
            bool isPossible = !shape.Forbidden.Contains(name) && NameIsAllowed(shape, name) && !schemas.Any(s => s.Element.ValueKind == JsonValueKind.False);
            if (isPossible)
            {
                named.Add((name, schemas, isRequired));
            }
            else if (isRequired)
            {
                return null;
            }
        }

        return named;
    }

    private List<SchemaAt> SchemasOf(SchemaShape shape, string name)
    {
        string spelled = JsonSpelling.Spell(name);
        bool Matches(string pattern) => _strings.Matching(pattern, "patternProperties").Matches(System.Text.Encoding.UTF8.GetBytes(spelled));
        return
        [
            .. shape.Properties.Where(p => p.Name == name).SelectMany(p => p.Schemas),
            .. shape.PatternProperties.Where(p => Matches(p.Pattern)).Select(p => p.Schema),
            .. shape.Additional.Where(a => !a.Names.Contains(name) && !a.Patterns.Any(Matches)).Select(a => a.Schema),
        ];
    }

    private bool NameIsAllowed(SchemaShape shape, string name) =>
        NamesOf(shape)?.Matches(System.Text.Encoding.UTF8.GetBytes(JsonSpelling.Spell(name))) ?? true;

    /// <returns>Names that the schemas of property names admit; null for any.</returns>
    private Automaton? NamesOf(SchemaShape shape)
    {
        Automaton? names = null;
        foreach (SchemaAt schema in shape.PropertyNames)
        {
            var own = new SchemaShape();
            if (schema.Element.ValueKind == JsonValueKind.Object)
            {
                if (schema.Element.TryGetProperty("$ref", out _) || schema.Element.TryGetProperty("anyOf", out _) || schema.Element.TryGetProperty("oneOf", out _)
                    || schema.Element.TryGetProperty("allOf", out _))
                {
                    throw new InvalidGrammarException(schema.Place, "references and combinations in 'propertyNames' are not supported", isUnsupported: true);
                }

                SchemaKeywords.Merge(schema, own);
            }
            else if (schema.Element.ValueKind == JsonValueKind.False)
            {
                own.Kinds = ValueKinds.None;
            }

            Automaton these = (own.Kinds & ValueKinds.String) == 0 ? new Automaton([], [], []) : _strings.WithLength(_strings.Content(own), own.MinLength, own.MaxLength);
            these = own.Constants is { } constants ? _strings.Both(these, _strings.OneOf(constants.Where(c => c.ValueKind == JsonValueKind.String).Select(c => c.GetString()!))) : these;
            names = names is null ? these : _strings.Both(names, these);
        }

        return names;
    }

    /// <returns>A property without a name of its own; null when there can be none.</returns>
    private RuleNode? Further(SchemaShape shape, IReadOnlyCollection<string> taken)
    {
        string[] patterns = [.. shape.PatternProperties.Select(p => p.Pattern).Concat(shape.Additional.SelectMany(a => a.Patterns)).Distinct(StringComparer.Ordinal)];
        bool isClosed = shape.Additional.Any(a => a.Schema.Element.ValueKind == JsonValueKind.False);
        if (isClosed && patterns.Length == 0)
        {
            return null;
        }

        if (patterns.Length > MostPatterns)
        {
            throw new InvalidGrammarException("patternProperties", $"at most {MostPatterns} patterns; got {patterns.Length}", isUnsupported: true);
        }

        Automaton names = _strings.Except(NamesOf(shape) is { } allowed ? _strings.Both(_json.Dialect.AnyText, allowed) : _json.Dialect.AnyText, _strings.OneOf(taken));
        var options = new List<RuleNode>();
        for (int chosen = 0; chosen < 1 << patterns.Length; chosen++)
        {
            Automaton matching = names;
            for (int i = 0; i < patterns.Length && !matching.IsEmpty; i++)
            {
                Automaton pattern = _strings.Matching(patterns[i], "patternProperties");
                matching = (chosen >> i & 1) != 0 ? _strings.Both(matching, pattern) : _strings.Except(matching, pattern);
            }

            if (!matching.IsEmpty && FurtherValue(shape, patterns, chosen) is { } value)
            {
                options.Add(_json.Pair(RuleNode.Then(RuleNode.Text("\""), new RuleNode.Embedded(matching, KeepsMarks: false), RuleNode.Text("\"")), value));
            }
        }

        return options.Count == 0 ? null : RuleNode.Either(options);
    }

    private RuleNode? FurtherValue(SchemaShape shape, string[] patterns, int chosen)
    {
        bool Matches(string pattern) => (chosen >> Array.IndexOf(patterns, pattern) & 1) != 0;
        SchemaAt[] schemas =
        [
            .. shape.PatternProperties.Where(p => Matches(p.Pattern)).Select(p => p.Schema),
            .. shape.Additional.Where(a => !a.Patterns.Any(Matches)).Select(a => a.Schema),
        ];
        return schemas.Any(s => s.Element.ValueKind == JsonValueKind.False) ? null : _ruleFor(schemas);
    }
}
