using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>The formats whose arguments are one JSON object, as the models' templates write them. Pure.</summary>
internal static class JsonForms
{
    /// <summary>The forms of a format; null where its arguments are no JSON object.</summary>
    public static IReadOnlyList<CallForm>? Of(ToolFormat format, CallParts parts) => format switch
    {
        ToolFormat.Hermes => [Hermes(parts)],
        ToolFormat.Llama3Json => [Llama(parts)],
        ToolFormat.Mistral => [Mistral(parts)],
        ToolFormat.DeepSeek => [DeepSeek(parts)],
        ToolFormat.KimiK2 => [Kimi(parts)],
        ToolFormat.JsonList => [JsonList(parts)],
        _ => null,
    };

    private static CallForm Hermes(CallParts parts) => parts.Blocks(
        "<tool_call>", RuleNode.Then(parts.Space, parts.Object("name", "arguments"), parts.Space, parts.Marker("</tool_call>")));

    private static CallForm Llama(CallParts parts)
    {
        RuleNode rest = parts.RestOfObject("name", "parameters");
        RuleNode first = RuleNode.Then(parts.Space, RuleNode.Text("{"));
        RuleNode between = RuleNode.Either(first, RuleNode.Then(RuleNode.Text(";"), first));
        return new CallForm("{", RuleNode.Then(parts.Several(rest, between), parts.Space), OpeningPlace.LineStart);
    }

    // A vocabulary with the marker of arguments writes each call for itself; an older one writes a list.
    private static CallForm Mistral(CallParts parts)
    {
        const string opener = "[TOOL_CALLS]";
        if (!parts.HasControl("[ARGS]"))
        {
            return new CallForm(opener, RuleNode.Then(parts.Space, RuleNode.Text("["), parts.RestOfList(parts.Object("name", "arguments")), parts.Space));
        }

        RuleNode id = parts.HasControl("[CALL_ID]")
            ? RuleNode.Maybe(RuleNode.Then(parts.Marker("[CALL_ID]"), new RuleNode.Repeat(Alphanumeric, 9, 9)))
            : RuleNode.Empty;
        RuleNode call = parts.AnyTool(tool => RuleNode.Then(RuleNode.Text(tool.Name), id, parts.Marker("[ARGS]"), tool.Json()));
        return new CallForm(opener, parts.Several(call, RuleNode.Then(parts.Space, parts.Marker(opener))));
    }

    // V3 and R1 write "function" and a fence, V3.1 the bare object; the model knows which.
    private static CallForm DeepSeek(CallParts parts)
    {
        RuleNode separator = parts.Marker("<｜tool▁sep｜>");
        RuleNode call = RuleNode.Then(
            parts.Marker("<｜tool▁call▁begin｜>"),
            parts.AnyTool(tool => RuleNode.Either(
                RuleNode.Then(RuleNode.Text("function"), separator, RuleNode.Text(tool.Name + "\n```json\n"), tool.Json(), RuleNode.Text("\n```")),
                RuleNode.Then(RuleNode.Text(tool.Name), separator, tool.Json()))),
            parts.Marker("<｜tool▁call▁end｜>"));
        return new CallForm("<｜tool▁calls▁begin｜>", RuleNode.Then(parts.Space, parts.Several(call, parts.Space), parts.Space, parts.Marker("<｜tool▁calls▁end｜>")));
    }

    private static CallForm Kimi(CallParts parts)
    {
        RuleNode number = new RuleNode.Repeat(Digit, 1, 3);
        RuleNode call = RuleNode.Then(
            parts.Marker("<|tool_call_begin|>"),
            parts.AnyTool(tool => RuleNode.Then(
                RuleNode.Text($"functions.{tool.Name}:"), number, parts.Marker("<|tool_call_argument_begin|>"), parts.Space, tool.Json(), parts.Space)),
            parts.Marker("<|tool_call_end|>"));
        return new CallForm("<|tool_calls_section_begin|>", RuleNode.Then(parts.Space, parts.Several(call, parts.Space), parts.Space, parts.Marker("<|tool_calls_section_end|>")));
    }

    // Three families share the shape; the vocabulary tells which markers are this one's.
    private static CallForm JsonList(CallParts parts)
    {
        if (parts.HasControl("<|START_ACTION|>"))
        {
            RuleNode id = RuleNode.Maybe(RuleNode.Then(RuleNode.Text("\"tool_call_id\":"), parts.Space, RuleNode.Text("\""), new RuleNode.Repeat(Digit, 1, 3), RuleNode.Text("\","), parts.Space));
            return List("<|START_ACTION|>", parts.Object("tool_name", "parameters", id), parts.Marker("<|END_ACTION|>"), parts);
        }

        RuleNode call = parts.Object("name", "arguments");
        return parts.HasControl("<|tool_call|>")
            ? List("<|tool_call|>", call, parts.HasControl("<|/tool_call|>") ? RuleNode.Maybe(parts.Marker("<|/tool_call|>")) : RuleNode.Empty, parts)
            : List("<tool_calls>", call, parts.Marker("</tool_calls>"), parts);
    }

    private static CallForm List(string opener, RuleNode call, RuleNode end, CallParts parts) =>
        new(opener, RuleNode.Then(parts.Space, RuleNode.Text("["), parts.RestOfList(call), parts.Space, end));

    private static RuleNode Digit => RuleNode.Characters(CodePointSet.Of(('0', '9')));

    private static RuleNode Alphanumeric => RuleNode.Characters(CodePointSet.Of(('0', '9'), ('A', 'Z'), ('a', 'z')));
}
