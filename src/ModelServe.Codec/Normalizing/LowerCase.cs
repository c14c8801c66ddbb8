using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>Lowercase: each code point by itself, as Rust maps it (no context, one mapping to two characters).</summary>
internal sealed class LowerCase : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('A', 'Z') && !text.AsSpan().ContainsAnyExceptInRange('\0', '\u007F'))
        {
            return text;
        }
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.IsAscii)
            {
                output.Append(char.ToLowerInvariant((char)rune.Value));
            }
            else if (rune.Value == 0x130)
            {
                output.Append("i\u0307");
            }
            else
            {
                output.Append(new Rune(CaseTables.Lower(rune.Value)));
            }
        }
        return output.ToString();
    }
}
