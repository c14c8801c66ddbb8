using System.Text;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Normalizing;

/// <summary>BertNormalizer's clean_text: control characters vanish and white space becomes a space.</summary>
internal sealed class BertCleaning : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (BertTables.Removed.Contains(rune.Value))
            {
                continue;
            }
            if (rune.IsBmp && CharacterClasses.IsSpace((char)rune.Value))
            {
                output.Append(' ');
            }
            else
            {
                output.Append(rune);
            }
        }
        return output.ToString();
    }
}
