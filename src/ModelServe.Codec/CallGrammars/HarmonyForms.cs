using ModelServe.Codec.Grammars;

namespace ModelServe.Codec.CallGrammars;

/// <summary>The messages of gpt-oss: thoughts, texts, and one call at the end, which a stop token of the model's closes. Pure.</summary>
internal static class HarmonyForms
{
    private const string End = "<|end|>";
    private static readonly string[] Others = ["<|start|>", "<|channel|>", "<|return|>", "<|call|>"];

    /// <summary>A whole answer behind the role that the prompt ends with.</summary>
    public static RuleNode Answer(CallParts parts, GrammarBuilder builder, FreeText text, bool isForced)
    {
        TextOpening[] ends = [new(End), .. Others.Select(marker => new TextOpening(marker))];
        RuleNode body = new RuleNode.Call(builder.Add("message", text.UpTo(ends[0], ends)));
        RuleNode call = RuleNode.Then(
            parts.Marker("<|channel|>commentary to=functions."),
            parts.AnyTool(tool => RuleNode.Then(
                RuleNode.Text(tool.Name + " "), RuleNode.Maybe(parts.Marker("<|constrain|>")), RuleNode.Text("json"), parts.Marker("<|message|>"), tool.Json())));
        RuleNode next = parts.Marker("<|start|>assistant");
        RuleNode thought = RuleNode.Then(parts.Marker("<|channel|>analysis<|message|>"), body, next);
        if (isForced)
        {
            return RuleNode.Then(new RuleNode.Repeat(thought, 0, null), call);
        }

        RuleNode head = RuleNode.Then(
            parts.Marker("<|channel|>"), RuleNode.Either(RuleNode.Text("analysis"), RuleNode.Text("commentary"), RuleNode.Text("final")), parts.Marker("<|message|>"));
        RuleNode last = new RuleNode.Call(builder.Add("last message", text.ToEnd(ends)));
        return RuleNode.Then(new RuleNode.Repeat(RuleNode.Then(head, body, next), 0, null), RuleNode.Either(RuleNode.Then(head, last), call));
    }
}
