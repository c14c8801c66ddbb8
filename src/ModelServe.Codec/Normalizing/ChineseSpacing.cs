using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>BertNormalizer's handle_chinese_chars: a space on either side of every Chinese character.</summary>
internal sealed class ChineseSpacing : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (BertTables.IsChinese(rune.Value))
            {
                output.Append(' ').Append(rune).Append(' ');
            }
            else
            {
                output.Append(rune);
            }
        }
        return output.Length == text.Length ? text : output.ToString();
    }
}
