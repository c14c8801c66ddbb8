using System.Text.Json;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Reads JSON that comes from outside: an object without duplicate names, or a refusal.</summary>
internal static class CheckpointJson
{
    private const int MaxDepth = 32;

    /// <summary>Parses an object and reads it.</summary>
    /// <param name="json">The bytes.</param>
    /// <param name="file">Name of the file, for messages.</param>
    /// <param name="part">What the JSON is in that file.</param>
    /// <param name="read">Takes what is needed; the element is invalid afterwards.</param>
    /// <exception cref="CheckpointException">The bytes are not JSON, not an object, or <paramref name="read"/> refuses them.</exception>
    public static T Read<T>(ReadOnlyMemory<byte> json, string file, string part, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(
                json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = MaxDepth });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? read(document.RootElement)
                : throw new CheckpointException(file, part, "a JSON object", document.RootElement.ValueKind.ToString());
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // A text that is not valid Unicode is found only when it is read, and then as an invalid operation.
            throw new CheckpointException(
                $"{file}: {part}: JSON in UTF-8 without duplicate names; got {CheckpointException.Shorten(exception.Message)}", exception);
        }
    }

    /// <summary>Parses and reads a whole file.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, or as above.</exception>
    public static T ReadFile<T>(string path, Func<JsonElement, T> read)
    {
        var file = Path.GetFileName(path);
        try
        {
            return Read(File.ReadAllBytes(path), file, "content", read);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{file}: a readable file; got {exception.Message}", exception);
        }
    }
}
