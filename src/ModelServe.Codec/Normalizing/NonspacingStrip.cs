using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>BertNormalizer's strip_accents: removes nonspacing marks of decomposed text.</summary>
internal sealed class NonspacingStrip : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (!BertTables.NonspacingMarks.Contains(rune.Value))
            {
                output.Append(rune);
            }
        }
        return output.Length == text.Length ? text : output.ToString();
    }
}
