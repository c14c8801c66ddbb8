namespace ModelServe.Codec.Normalizing;

/// <summary>Replace with a literal pattern.</summary>
internal sealed class LiteralReplacement(string pattern, string content) : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text) => text.Replace(pattern, content, StringComparison.Ordinal);
}
