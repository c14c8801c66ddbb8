using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>The arguments of one tool, as one JSON object or as parameters one by one. Not thread-safe; the document must outlive the building.</summary>
internal sealed class ToolArguments
{
    private static readonly JsonElement ObjectType = Parse("""{"type":"object"}""");
    private readonly GrammarBuilder _builder;
    private readonly JsonRules _json;
    private readonly CallableTool _tool;
    private readonly SchemaCompiler _schemas;
    private readonly SchemaAt[] _root;
    private readonly ToolSchemas _types;

    /// <summary>The arguments of a tool.</summary>
    /// <param name="builder">Takes the rules.</param>
    /// <param name="json">How values are written.</param>
    /// <param name="tool">The tool.</param>
    /// <param name="schema">Its schema, read.</param>
    public ToolArguments(GrammarBuilder builder, JsonRules json, CallableTool tool, JsonElement schema)
    {
        _builder = builder;
        _json = json;
        _tool = tool;
        _schemas = new SchemaCompiler(builder, json, schema);
        _root = [new SchemaAt(schema, "#"), new SchemaAt(ObjectType, "# as an object")];
        _types = new ToolSchemas([new JsonObject { ["name"] = tool.Name, ["parameters"] = JsonObject.Create(schema) }]);
    }

    /// <summary>The tool's name.</summary>
    public string Name => _tool.Name;

    /// <summary>Where its schema stands.</summary>
    public string Place => _tool.Place;

    /// <summary>The arguments as one object.</summary>
    public RuleNode Json() => Named(() => _tool.IsBound ? _schemas.RuleFor(_root) : _json.Object);

    /// <summary>The arguments one by one, in the schema's order, each that is not required once or not at all.</summary>
    /// <param name="write">One parameter: its name, its schemas; the state of the list is told by whether another one came before.</param>
    /// <param name="separator">What stands between two.</param>
    public RuleNode Parameters(Func<string, List<SchemaAt>, RuleNode> write, RuleNode separator) => Named(() =>
    {
        List<SchemaShape> shapes = _schemas.Shapes(_root);
        if (shapes is not [var shape] || shape.Constants is not null || shape.MinProperties > shape.Required.Count
            || shape.MaxProperties is not null || shape.PropertyNames.Count > 0)
        {
            throw new InvalidGrammarException(
                "#", "parameters that are alternatives, or of a bounded number, are not supported in this format of calls", isUnsupported: true);
        }

        var parameters = _schemas.Properties(shape);
        if (parameters is null)
        {
            return RuleNode.Never;
        }

        // State 2i: the parameters before i are settled and none came; 2i+1: one came.
        var moves = new List<(int, RuleNode, int)>();
        for (int i = 0; i < parameters.Count; i++)
        {
            RuleNode one = write(parameters[i].Name, parameters[i].Schemas);
            moves.Add((2 * i, one, (2 * i) + 3));
            moves.Add(((2 * i) + 1, RuleNode.Then(separator, one), (2 * i) + 3));
            if (!parameters[i].IsRequired)
            {
                moves.Add((2 * i, RuleNode.Empty, (2 * i) + 2));
                moves.Add(((2 * i) + 1, RuleNode.Empty, (2 * i) + 3));
            }
        }

        int end = 2 * parameters.Count;
        return new RuleNode.Graph(end + 2, moves, [end, end + 1]);
    });

    /// <summary>A parameter's value in the grammar's own way to write values.</summary>
    public RuleNode Value(List<SchemaAt> schemas) => _schemas.RuleFor(schemas);

    /// <summary>A parameter's value as the format's reader takes it: text as it stands, and values of the types that the reader knows as JSON.</summary>
    /// <param name="name">The parameter.</param>
    /// <param name="schemas">Its schemas.</param>
    /// <param name="end">What ends the value.</param>
    public RuleNode TextOrJson(string name, List<SchemaAt> schemas, string end)
    {
        JsonTypes types = _types.TypesOf(_tool.Name, name);
        RuleNode text = Text(schemas, end, types);
        if (types == JsonTypes.Text && text is RuleNode.Choice { Options.Count: 0 } && schemas.Count > 0)
        {
            throw new InvalidGrammarException(schemas[0].Place, "a parameter that is no text needs a 'type' in this format of calls", isUnsupported: true);
        }

        return types == JsonTypes.Text ? text : RuleNode.Either(text, Typed(schemas, types));
    }

    /// <summary>The texts that a parameter may be.</summary>
    /// <param name="schemas">Its schemas.</param>
    /// <param name="end">What ends the value.</param>
    /// <param name="types">What the reader would rather take a text for.</param>
    public RuleNode Text(List<SchemaAt> schemas, string end, JsonTypes types)
    {
        var raw = new RawText(_builder.Limits, end, types);
        return RuleNode.Either([.. _schemas.Shapes(schemas).Where(shape => (shape.Kinds & ValueKinds.String) != 0)
            .Select(shape => new RuleNode.Call(_builder.Add("text", raw.Of(shape))))]);
    }

    /// <summary>The values of some types that a parameter may be.</summary>
    public RuleNode Typed(List<SchemaAt> schemas, JsonTypes types)
    {
        var names = new JsonArray();
        foreach ((JsonTypes type, string name) in (ReadOnlySpan<(JsonTypes, string)>)[
            (JsonTypes.Null, "null"), (JsonTypes.Boolean, "boolean"), (JsonTypes.Number, "number"), (JsonTypes.Array, "array"), (JsonTypes.Object, "object")])
        {
            if (types.HasFlag(type))
            {
                names.Add(name);
            }
        }

        string place = $"# of {types}";
        return _schemas.RuleFor([.. schemas, new SchemaAt(Parse(new JsonObject { ["type"] = names }.ToJsonString()), place)]);
    }

    /// <summary>Defines all that was asked for.</summary>
    public void Finish() => Named(() =>
    {
        _schemas.Finish();
        return RuleNode.Empty;
    });

    private static JsonElement Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    private RuleNode Named(Func<RuleNode> make)
    {
        try
        {
            return make();
        }
        catch (InvalidGrammarException exception) when (!exception.Place.StartsWith(_tool.Place, StringComparison.Ordinal))
        {
            throw new InvalidGrammarException(
                exception.Place.StartsWith('#') ? _tool.Place + exception.Place : _tool.Place,
                exception.Place.Length == 0 ? exception.Message : exception.Message[(exception.Place.Length + 2)..],
                exception.IsUnsupported);
        }
    }
}
