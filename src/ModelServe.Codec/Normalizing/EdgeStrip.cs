namespace ModelServe.Codec.Normalizing;

/// <summary>Strip: removes white space at either end.</summary>
internal sealed class EdgeStrip(bool left, bool right) : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        string cut = left ? text.TrimStart() : text;
        return right ? cut.TrimEnd() : cut;
    }
}
