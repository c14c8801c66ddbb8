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
            // Two Vedic signs were marks to the reference library's Unicode tables and are letters now.
            bool isMark = CharacterClasses.IsMark(rune.Value) ? !LaterMarks.All.Contains(rune.Value) : rune.Value is 0x1CF2 or 0x1CF3;
            if (!isMark)
            {
                output.Append(rune);
            }
        }
        return output.Length == text.Length ? text : output.ToString();
    }
}
