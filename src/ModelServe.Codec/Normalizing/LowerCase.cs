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
                output.Append(Lower(rune));
            }
        }
        return output.ToString();
    }

    /// <summary>Some capitals of Unicode 17 are spelled out, because the runtime's tables need not have them yet.</summary>
    private static Rune Lower(Rune rune) => rune.Value switch
    {
        0xA7CE or 0xA7D2 or 0xA7D4 => new Rune(rune.Value + 1),
        >= 0x16EA0 and <= 0x16EB8 => new Rune(rune.Value + 0x1B),
        _ => Rune.ToLowerInvariant(rune),
    };
}
