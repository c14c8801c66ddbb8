using System.Text.Json.Nodes;

namespace ModelServe.Codec.Chat;

/// <summary>What a chat template is told besides the messages.</summary>
public sealed record ChatRenderOptions
{
    /// <summary>Whether the text ends where the assistant's answer begins.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Whether the text ends where the last turn's content ends, so that the answer goes on from it.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>Tool definitions in the OpenAI shape; null when the request has none.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>Named values for the template (enable_thinking, …); the caller has checked the names.</summary>
    public JsonObject? Arguments { get; init; }
}
