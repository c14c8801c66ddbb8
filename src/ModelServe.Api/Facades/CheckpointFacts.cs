using System.Text.Json;
using ModelServe.Api.Models;

namespace ModelServe.Api.Facades;

/// <summary>What config.json says that clients of other interfaces ask for and this server itself does not need.</summary>
/// <param name="ModelType">Its model_type; empty where it has none.</param>
/// <param name="Architectures">Its architectures.</param>
/// <param name="BosTokenId">Its bos_token_id; 0 where it has none.</param>
/// <param name="PadTokenId">Its pad_token_id; 0 where it has none.</param>
internal sealed record CheckpointFacts(string ModelType, IReadOnlyList<string> Architectures, int BosTokenId, int PadTokenId)
{
    private const long LargestFile = 1 << 20;

    /// <summary>Reads the file of a model; all empty for a model without a folder.</summary>
    public static CheckpointFacts Of(ServedModel model)
    {
        string? path = model.Directory is { } directory ? Path.Combine(directory, "config.json") : null;
        if (path is null || !File.Exists(path) || new FileInfo(path).Length > LargestFile)
        {
            return new CheckpointFacts(string.Empty, [], 0, 0);
        }

        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        JsonElement root = document.RootElement;
        string[] architectures = root.TryGetProperty("architectures", out JsonElement list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)]
            : [];
        string type = root.TryGetProperty("model_type", out JsonElement name) && name.ValueKind == JsonValueKind.String
            ? name.GetString()!
            : string.Empty;
        return new CheckpointFacts(type, architectures, Id(root, "bos_token_id"), Id(root, "pad_token_id"));
    }

    private static int Id(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id)
            ? id
            : 0;
}
