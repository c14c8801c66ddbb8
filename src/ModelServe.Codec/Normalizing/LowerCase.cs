using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>Lowercase: each code point by itself, as Rust maps it (no context, one mapping to two characters).</summary>
internal sealed class LowerCase : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            // U+0130, capital I with dot, is the only code point whose lower case is two.
            if (rune.Value == 0x130)
            {
                output.Append("i\u0307");
            }
            else
            {
                output.Append(Rune.ToLowerInvariant(rune));
            }
        }
        return output.ToString();
    }
}
