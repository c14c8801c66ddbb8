using System.Text;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Normalizing;

/// <summary>StripAccents: removes combining marks (of text that another normalizer has decomposed).</summary>
internal sealed class AccentStrip : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (!CharacterClasses.IsMark(rune.Value))
            {
                output.Append(rune);
            }
        }
        return output.Length == text.Length ? text : output.ToString();
    }
}
