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
            if (rune.Value is '\t' or '\n' or '\r' || (rune.IsBmp && CharacterClasses.IsSpace((char)rune.Value) && !IsRemoved(rune)))
            {
                output.Append(' ');
            }
            else if (!IsRemoved(rune))
            {
                output.Append(rune);
            }
        }
        return output.ToString();
    }

    private static bool IsRemoved(Rune rune) => rune.Value is 0 or 0xFFFD || BertTables.IsOther(rune);
}
