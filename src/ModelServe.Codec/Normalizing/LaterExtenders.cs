using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// Marks of the newest Unicode versions that join the character before them to tokenizer.json's own library, whether or not the
/// runtime's tables have them yet. Found by a sweep over all code points.
/// </summary>
internal static class LaterExtenders
{
    private static readonly CodePointRanges Ranges = new(
    [
        0x897, 0x897, 0xCF3, 0xCF3, 0xECE, 0xECE, 0x1ACF, 0x1ADD, 0x1AE0, 0x1AEB, 0x10D69, 0x10D6D, 0x10EFA, 0x10EFF,
        0x11241, 0x11241, 0x112EB, 0x112EF, 0x112FA, 0x112FF, 0x113B8, 0x113C0, 0x113C2, 0x113C2, 0x113C5, 0x113C5,
        0x113C7, 0x113CA, 0x113CC, 0x113D0, 0x113D2, 0x113D2, 0x113E1, 0x113E2, 0x1174B, 0x1174B, 0x117CB, 0x117CB,
        0x11B60, 0x11B67, 0x11F00, 0x11F01, 0x11F03, 0x11F03, 0x11F34, 0x11F3A, 0x11F3E, 0x11F42, 0x11F5A, 0x11F5A,
        0x13440, 0x13440, 0x13447, 0x13455, 0x1611E, 0x1612F, 0x1D2C0, 0x1D2DF, 0x1D2F4, 0x1D2FF, 0x1E08F, 0x1E08F,
        0x1E4EC, 0x1E4EF, 0x1E5EE, 0x1E5EF, 0x1E6E3, 0x1E6E3, 0x1E6E6, 0x1E6E6, 0x1E6EE, 0x1E6EF, 0x1E6F5, 0x1E6F5,
        0x1F2C0, 0x1F2FF,
    ]);

    /// <summary>Chars of the grapheme that a text begins with.</summary>
    /// <param name="text">Not empty.</param>
    public static int NextGrapheme(ReadOnlySpan<char> text)
    {
        int length = StringInfo.GetNextTextElementLength(text);
        while (length < text.Length && text[length] > '\u02FF' && Joins(text, length))
        {
            length += StringInfo.GetNextTextElementLength(text[length..]);
        }
        return length;
    }

    private static bool Joins(ReadOnlySpan<char> text, int index)
    {
        Rune.DecodeFromUtf16(text[index..], out Rune rune, out _);
        return Ranges.Contains(rune.Value) && CharUnicodeInfo.GetUnicodeCategory(text[index - 1]) is not
            (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
    }
}
