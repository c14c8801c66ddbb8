namespace ModelServe.Codec.Normalizing;

/// <summary>Normalizers one after another.</summary>
internal sealed class NormalizerChain(IReadOnlyList<ITextNormalizer> steps) : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        foreach (ITextNormalizer step in steps)
        {
            text = step.Normalize(text);
        }
        return text;
    }
}
