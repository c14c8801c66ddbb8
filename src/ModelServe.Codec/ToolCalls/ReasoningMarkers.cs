namespace ModelServe.Codec.ToolCalls;

/// <summary>The texts around a model's reasoning, which stands at the start of its answer.</summary>
/// <param name="Open">Begins it, unless the prompt has done so already.</param>
/// <param name="Close">Ends it.</param>
public sealed record ReasoningMarkers(string Open, string Close)
{
    /// <summary><c>&lt;think&gt;</c>: Qwen, DeepSeek and most others.</summary>
    public static ReasoningMarkers Think { get; } = new("<think>", "</think>");

    /// <summary><c>[THINK]</c>: Mistral.</summary>
    public static ReasoningMarkers MistralThink { get; } = new("[THINK]", "[/THINK]");

    /// <summary>Whether a rendered prompt ends inside the reasoning, so that the answer begins there.</summary>
    public bool IsOpenedBy(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(Open, StringComparison.Ordinal);
}
