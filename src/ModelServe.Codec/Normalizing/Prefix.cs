namespace ModelServe.Codec.Normalizing;

/// <summary>Prepend: puts a string before every text that is not empty.</summary>
internal sealed class Prefix(string content) : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text) => text.Length == 0 ? text : content + text;
}
