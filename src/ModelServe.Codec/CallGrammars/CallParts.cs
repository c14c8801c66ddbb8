using ModelServe.Codec.Grammars;

namespace ModelServe.Codec.CallGrammars;

/// <summary>What the forms of calls are put together from, for one grammar. Not thread-safe.</summary>
/// <param name="builder">Takes the rules.</param>
/// <param name="json">How values are written.</param>
/// <param name="text">How markers are written.</param>
/// <param name="tools">The tools with their arguments.</param>
/// <param name="isSingle">Whether there is one call and no more.</param>
internal sealed class CallParts(GrammarBuilder builder, JsonRules json, FreeText text, IReadOnlyList<ToolArguments> tools, bool isSingle)
{
    /// <summary>White space between parts.</summary>
    public RuleNode Space => json.Space;

    /// <summary>How values are written.</summary>
    public JsonRules Json => json;

    /// <summary>A text of the format itself, with its control tokens.</summary>
    public RuleNode Marker(string marker) => text.Marker(marker);

    /// <summary>Whether the vocabulary has a control token of that text.</summary>
    public bool HasControl(string marker) => text.HasControl(marker);

    /// <summary>One call, of any of the tools, as a rule of its own.</summary>
    public RuleNode AnyTool(Func<ToolArguments, RuleNode> call) =>
        new RuleNode.Call(builder.Add("call", RuleNode.Either([.. tools.Select(tool => new RuleNode.Call(builder.Add(tool.Place, call(tool))))])));

    /// <summary>One item, or several with something between; one only where there is one call and no more.</summary>
    public RuleNode Several(RuleNode item, RuleNode between) =>
        isSingle ? item : RuleNode.Then(item, new RuleNode.Repeat(RuleNode.Then(between, item), 0, null));

    /// <summary>Blocks that each hold one call: the first without its opener, as it comes after one.</summary>
    public CallForm Blocks(string opener, RuleNode body)
    {
        RuleNode further = new RuleNode.Repeat(RuleNode.Then(Space, Marker(opener), body), 0, null);
        return new CallForm(opener, isSingle ? RuleNode.Then(body, Space) : RuleNode.Then(body, further, Space));
    }

    /// <summary>A list in square brackets, without the first bracket.</summary>
    public RuleNode RestOfList(RuleNode item) =>
        RuleNode.Then(Space, Several(item, RuleNode.Then(RuleNode.Text(","), Space)), Space, RuleNode.Text("]"));

    /// <summary>A JSON object with the tool's name and its arguments, without the first brace.</summary>
    public RuleNode RestOfObject(string nameKey, string argumentsKey, RuleNode? first = null) => AnyTool(tool => RuleNode.Then(
        Space,
        first ?? RuleNode.Empty,
        RuleNode.Text($"\"{nameKey}\":"), Space, Json.Text(tool.Name), RuleNode.Text(","), Space,
        RuleNode.Text($"\"{argumentsKey}\":"), Space, tool.Json(), Space, RuleNode.Text("}")));

    /// <summary>The same with its first brace.</summary>
    public RuleNode Object(string nameKey, string argumentsKey, RuleNode? first = null) =>
        RuleNode.Then(RuleNode.Text("{"), RestOfObject(nameKey, argumentsKey, first));
}
