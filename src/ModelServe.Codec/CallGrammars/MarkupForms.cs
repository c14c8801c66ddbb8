using System.Buffers;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>The formats that write each parameter as an element. Values that are text stand as they are, others as JSON. Pure.</summary>
internal static class MarkupForms
{
    private const JsonTypes AnyJson = JsonTypes.Null | JsonTypes.Boolean | JsonTypes.Number | JsonTypes.Array | JsonTypes.Object;
    private static readonly SearchValues<char> NotInNames = SearchValues.Create("<>\"\n\r\t ");

    /// <summary>The forms of a format; null where parameters are no elements.</summary>
    public static IReadOnlyList<CallForm>? Of(ToolFormat format, CallParts parts) => format switch
    {
        ToolFormat.Qwen3Coder => [Functions("tool_call", parts)],
        ToolFormat.SeedOss => [Functions("seed:tool_call", parts)],
        ToolFormat.Glm => [Glm(parts)],
        ToolFormat.DeepSeekMarkup => [Invokes("｜DSML｜", "｜DSML｜function_calls", parts), Invokes("｜DSML｜", "｜DSML｜tool_calls", parts)],
        ToolFormat.MiniMax => [Invokes("", "minimax:tool_call", parts)],
        _ => null,
    };

    private static CallForm Functions(string outer, CallParts parts)
    {
        const string end = "</parameter>";
        RuleNode call = parts.AnyTool(tool => RuleNode.Then(
            RuleNode.Text($"<function={tool.Name}>"),
            parts.Space,
            tool.Parameters(
                (name, schemas) => RuleNode.Then(
                    RuleNode.Text($"<parameter={Checked(name)}>\n"), tool.TextOrJson(name, schemas, end), RuleNode.Text($"\n{end}"), parts.Space),
                RuleNode.Empty),
            RuleNode.Text("</function>")));
        return parts.Blocks($"<{outer}>", RuleNode.Then(parts.Space, call, parts.Space, parts.Marker($"</{outer}>")));
    }

    private static CallForm Glm(CallParts parts)
    {
        const string end = "</arg_value>";
        RuleNode call = parts.AnyTool(tool => RuleNode.Then(
            RuleNode.Text(tool.Name),
            parts.Space,
            tool.Parameters(
                (name, schemas) => RuleNode.Then(
                    parts.Marker("<arg_key>"), RuleNode.Text(Checked(name)), parts.Marker("</arg_key>"), parts.Space,
                    parts.Marker("<arg_value>"), tool.TextOrJson(name, schemas, end), parts.Marker(end), parts.Space),
                RuleNode.Empty),
            parts.Marker("</tool_call>")));
        return parts.Blocks("<tool_call>", call);
    }

    private static CallForm Invokes(string prefix, string outer, CallParts parts)
    {
        string end = $"</{prefix}parameter>";
        RuleNode Parameter(ToolArguments tool, string name, List<SchemaAt> schemas)
        {
            RuleNode head = parts.Marker($"<{prefix}parameter name=\"{Checked(name)}\"");
            RuleNode value = prefix.Length == 0
                ? RuleNode.Then(RuleNode.Text(">"), tool.TextOrJson(name, schemas, end))
                : RuleNode.Either(
                    RuleNode.Then(RuleNode.Text(" string=\"true\">"), tool.Text(schemas, end, JsonTypes.Text)),
                    RuleNode.Then(RuleNode.Text(" string=\"false\">"), tool.Typed(schemas, AnyJson)));
            return RuleNode.Then(head, value, parts.Marker(end), parts.Space);
        }

        RuleNode call = parts.AnyTool(tool => RuleNode.Then(
            parts.Marker($"<{prefix}invoke name=\"{tool.Name}\">"),
            parts.Space,
            tool.Parameters((name, schemas) => Parameter(tool, name, schemas), RuleNode.Empty),
            parts.Marker($"</{prefix}invoke>")));
        return new CallForm($"<{outer}>", RuleNode.Then(parts.Space, parts.Several(call, parts.Space), parts.Space, parts.Marker($"</{outer}>")));
    }

    private static string Checked(string name) => name.Length is > 0 and <= TextRules.MaxName && !name.AsSpan().ContainsAny(NotInNames)
        ? name
        : throw new InvalidGrammarException("#", $"a parameter's name of 1 to {TextRules.MaxName} characters, without white space, '<', '>' and '\"', in this format of calls", isUnsupported: true);
}
