using ModelServe.Codec.ToolCalls;

namespace ModelServe.Host.Options;

/// <summary>What the operator says about how models write tool calls and reasoning; what is not said, the chat template shows.</summary>
internal sealed record AnswerForm
{
    private const string Own = "its own";

    private static readonly (string Name, ReasoningMarkers? Markers)[] Reasonings =
    [
        ("none", null), ("think", ReasoningMarkers.Think), ("mistral", ReasoningMarkers.MistralThink), ("command-r", ReasoningMarkers.CommandThink),
        ("seed-oss", ReasoningMarkers.SeedThink), ("gemma", ReasoningMarkers.GemmaThought),
    ];

    /// <summary>The names that <see cref="ToolCalls"/> may be.</summary>
    public static IEnumerable<string> ToolCallNames => AnswerFormat.Names.Where(name => name != "reasoning");

    /// <summary>The names that <see cref="Reasoning"/> may be.</summary>
    public static IEnumerable<string> ReasoningNames => Reasonings.Select(entry => entry.Name);

    /// <summary>How tool calls are written, by name; null as the template shows.</summary>
    public string? ToolCalls { get; init; }

    /// <summary>What stands around the reasoning, by name; null as the tool calls' form has it, or the template shows.</summary>
    public string? Reasoning { get; init; }

    /// <summary>The rule that the two break together, or null.</summary>
    public string? FirstError() => ToolCalls == "harmony" && Reasoning is not null
        ? $"--reasoning-format: nothing beside --tool-call-format harmony, which has {Own}; got '{Reasoning}'"
        : null;

    /// <summary>The form of a checkpoint's answers.</summary>
    /// <param name="directory">The checkpoint, whose chat template tells what was not said here.</param>
    public AnswerFormat Of(string directory)
    {
        AnswerFormat shown = ToolCalls is null ? AnswerFormat.Load(directory) : AnswerFormat.Parse(ToolCalls);
        return Reasoning is null ? shown : shown with { Reasoning = Array.Find(Reasonings, entry => entry.Name == Reasoning).Markers };
    }
}
