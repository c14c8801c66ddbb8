using System.Text.Json.Nodes;

namespace ModelServe.Codec.Chat;

/// <summary>One turn of a conversation as a chat template sees it.</summary>
/// <param name="Role">system, user, assistant, tool, or what else the template knows.</param>
/// <param name="Content">The text; null where the turn has none (an assistant turn that only calls tools).</param>
public sealed record ChatMessage(string Role, string? Content)
{
    /// <summary>Further fields that a template may read: name, tool_calls, tool_call_id, reasoning_content, content parts.</summary>
    public JsonObject? Extra { get; init; }
}
