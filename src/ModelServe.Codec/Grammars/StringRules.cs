namespace ModelServe.Codec.Grammars;

/// <summary>Strings that match patterns, have a bounded length, or are not one of given texts. Not thread-safe.</summary>
internal sealed class StringRules
{
    private readonly GrammarBuilder _builder;
    private readonly JsonRules _json;
    private readonly Dictionary<string, Automaton> _patterns = new(StringComparer.Ordinal);

    /// <summary>String rules of one grammar.</summary>
    public StringRules(GrammarBuilder builder, JsonRules json)
    {
        _builder = builder;
        _json = json;
    }

    /// <summary>The strings that a shape admits.</summary>
    public RuleNode Of(SchemaShape shape)
    {
        if (!shape.BoundsStrings)
        {
            return _json.String;
        }

        if (shape.MaxLength is { } max && max < shape.MinLength)
        {
            return RuleNode.Never;
        }

        Automaton content = Content(shape);
        if (shape.Patterns.Count > 0 || shape.ForbiddenTexts.Count > 0)
        {
            // A count beside a pattern could lead where no text of that length goes on, so the lengths are told apart by states.
            return JsonRules.Quoted(WithLength(content, shape.MinLength, shape.MaxLength));
        }

        return new RuleNode.Call(_builder.AddCounted("string", _json.Dialect.CountedString, shape.MinLength, shape.MaxLength ?? int.MaxValue));
    }

    /// <summary>Strings of a content automaton that have so many characters.</summary>
    public Automaton WithLength(Automaton content, int min, int? max) => min == 0 && max is null
        ? content
        : Both(content, Determinizer.Compile(new RuleNode.Repeat(JsonSpelling.Spelled(CodePointSet.All), min, max), _builder.Limits, "length"));

    /// <summary>The content of the strings that a shape's patterns and forbidden texts admit; lengths are not looked at.</summary>
    public Automaton Content(SchemaShape shape)
    {
        Automaton content = _json.Dialect.AnyText;
        foreach ((string pattern, string place) in shape.Patterns)
        {
            content = Both(content, Matching(pattern, place));
        }

        return shape.ForbiddenTexts.Count == 0 ? content : Except(content, OneOf(shape.ForbiddenTexts));
    }

    /// <summary>The content of strings in which a pattern is found.</summary>
    public Automaton Matching(string pattern, string place)
    {
        if (!_patterns.TryGetValue(pattern, out Automaton? automaton))
        {
            RuleNode node = RegexParser.Parse(pattern, isSearch: true, JsonSpelling.Spelled, _builder.Limits, place);
            automaton = Determinizer.Compile(node, _builder.Limits, place);
            _patterns.Add(pattern, automaton);
        }

        return automaton;
    }

    /// <summary>The content of strings that are one of the texts.</summary>
    public Automaton OneOf(IEnumerable<string> texts) => Determinizer.Compile(
        RuleNode.Either([.. texts.Select(text => RuleNode.Then([.. text.EnumerateRunes().Select(rune => JsonSpelling.Spelled(CodePointSet.Of(rune.Value)))]))]),
        _builder.Limits,
        "texts");

    /// <summary>Strings of both.</summary>
    public Automaton Both(Automaton first, Automaton second) => Determinizer.Combine(first, second, except: false, _builder.Limits, "string");

    /// <summary>Strings of the first that are not of the second.</summary>
    public Automaton Except(Automaton first, Automaton second) => Determinizer.Combine(first, second, except: true, _builder.Limits, "string");
}
