using System.Text.Json.Nodes;

namespace ModelServe.Codec.ToolCalls;

/// <summary>What the reading of one answer depends on besides the model's format.</summary>
public sealed record AnswerOptions
{
    /// <summary>Whether the prompt has opened the reasoning already (<see cref="ReasoningMarkers.IsOpenedBy"/>).</summary>
    public bool ReasoningBegun { get; init; }

    /// <summary>The request's tools in the OpenAI shape: give the types of values that a format writes as plain text.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>
    /// Whether only <see cref="Tools"/> may be called: what looks like a call of another name stays text. False lets any name
    /// through, as the model wrote it.
    /// </summary>
    public bool KnownToolsOnly { get; init; }

    /// <summary>Makes the id of a call that has none; by default random, in the shape that the format's templates accept.</summary>
    public Func<string>? NewCallId { get; init; }
}
