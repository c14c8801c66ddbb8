using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>The character classes of BertNormalizer, by the Unicode tables of tokenizer.json's own library.</summary>
internal static class BertTables
{
    /// <summary>Whether the character is a control, format or private-use one.</summary>
    public static bool IsOther(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse;

    /// <summary>Whether the character is a nonspacing mark.</summary>
    public static bool IsNonspacingMark(Rune rune) => Rune.GetUnicodeCategory(rune) == UnicodeCategory.NonSpacingMark;

    /// <summary>Whether the character is a Chinese one, which BERT makes a word of its own.</summary>
    public static bool IsChinese(int codePoint) => codePoint is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF)
        or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
