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

    /// <summary><c>&lt;seed:think&gt;</c>: Seed-OSS.</summary>
    public static ReasoningMarkers SeedThink { get; } = new("<seed:think>", "</seed:think>");

    /// <summary><c>&lt;|START_THINKING|&gt;</c>: Command-R and its successors.</summary>
    public static ReasoningMarkers CommandThink { get; } = new("<|START_THINKING|>", "<|END_THINKING|>");

    /// <summary>The thought channel of Gemma 4.</summary>
    public static ReasoningMarkers GemmaThought { get; } = new("<|channel>thought", "<channel|>");

    /// <summary>Whether a rendered prompt ends inside the reasoning, so that the answer begins there.</summary>
    public bool IsOpenedBy(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(Open, StringComparison.Ordinal);

    /// <summary>Whether a rendered prompt ends with the reasoning closed, so that none comes.</summary>
    public bool IsClosedBy(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(Close, StringComparison.Ordinal);

    /// <summary>Whether the beginning of an answer leaves off inside its reasoning.</summary>
    public bool IsLeftOpenBy(string beginning) =>
        beginning.AsSpan().TrimStart().StartsWith(Open, StringComparison.Ordinal) && !beginning.Contains(Close, StringComparison.Ordinal);
}
