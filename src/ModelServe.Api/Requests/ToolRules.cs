using System.Text.Json.Nodes;

namespace ModelServe.Api.Requests;

/// <summary>What one request says of its tools. Immutable.</summary>
/// <param name="Tools">The definitions in the OpenAI shape, as the template sees them; null for none.</param>
internal sealed record ToolRules(JsonArray? Tools)
{
    /// <summary>No tools.</summary>
    public static ToolRules None { get; } = new((JsonArray?)null);

    /// <summary>Whether the answer must be a call.</summary>
    public bool IsRequired { get; init; }

    /// <summary>The only tool that may and must be called; null for any.</summary>
    public string? Named { get; init; }

    /// <summary>The tools that may be called; null for all.</summary>
    public IReadOnlyList<string>? Allowed { get; init; }

    /// <summary>Whether there is at most one call.</summary>
    public bool IsSingle { get; init; }

    /// <summary>The definitions of the tools that may be called.</summary>
    public JsonArray? Callable => Tools is null || (Allowed is null && Named is null)
        ? Tools
        : new JsonArray([.. Tools.Where(tool => Names(NameOf(tool))).Select(tool => tool!.DeepClone())]);

    /// <summary>Whether that tool may be called.</summary>
    public bool Names(string? tool) => tool is not null && (Named is null || Named == tool) && (Allowed?.Contains(tool) ?? true);

    /// <summary>The name in a definition; null where it has none.</summary>
    public static string? NameOf(JsonNode? tool) =>
        (tool as JsonObject)?["function"] is JsonObject function && function["name"] is JsonValue name && name.TryGetValue(out string? text) ? text : null;
}
