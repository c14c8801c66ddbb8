using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Codec.Templates;

/// <summary>Finds a checkpoint's chat template where transformers looks for it.</summary>
internal static class TemplateFiles
{
    private const string Configuration = "tokenizer_config.json";

    /// <summary>The default template and, where there is one, that for requests with tools; null when the checkpoint has none.</summary>
    /// <exception cref="InvalidTextModelException">The configuration is no JSON or its chat_template has another shape.</exception>
    public static (string Source, string? ToolUse)? Read(string directory)
    {
        string file = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(file))
        {
            string toolUse = Path.Combine(directory, "additional_chat_templates", "tool_use.jinja");
            return (File.ReadAllText(file), File.Exists(toolUse) ? File.ReadAllText(toolUse) : null);
        }

        string path = Path.Combine(directory, Configuration);
        return File.Exists(path) ? FromConfiguration(path) : null;
    }

    private static (string Source, string? ToolUse)? FromConfiguration(string path)
    {
        JsonNode? root;
        try
        {
            root = JsonNode.Parse(File.ReadAllText(path));
        }
        catch (JsonException exception)
        {
            throw new InvalidTextModelException($"{path}: not JSON: {exception.Message}", exception);
        }

        JsonNode? template = root is JsonObject configuration ? configuration["chat_template"]
            : throw new InvalidTextModelException($"{path}: expected a JSON object");
        return template switch
        {
            null => null,
            JsonValue when template.GetValueKind() == JsonValueKind.String => (template.GetValue<string>(), null),
            JsonArray list => FromList(path, list),
            _ => throw new InvalidTextModelException(
                $"{path}: chat_template is a {template.GetValueKind()}, expected a string or a list of named templates"),
        };
    }

    private static (string Source, string? ToolUse)? FromList(string path, JsonArray list)
    {
        var named = new Dictionary<string, string>();
        foreach (JsonNode? item in list)
        {
            if (item is JsonObject entry && entry["name"] is JsonValue name && entry["template"] is JsonValue template
                && name.TryGetValue(out string? key) && template.TryGetValue(out string? source))
            {
                named[key] = source;
            }
            else
            {
                throw new InvalidTextModelException($"{path}: an element of chat_template has no name and template");
            }
        }

        return named.TryGetValue("default", out string? fallback)
            ? (fallback, named.GetValueOrDefault("tool_use"))
            : throw new InvalidTextModelException($"{path}: chat_template names no template 'default'");
    }
}
