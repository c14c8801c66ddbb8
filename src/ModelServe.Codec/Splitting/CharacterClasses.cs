using System.Globalization;
using ModelServe.Codec.Normalizing;

namespace ModelServe.Codec.Splitting;

/// <summary>Classes of code points by the Unicode data of the runtime; pure functions.</summary>
internal static class CharacterClasses
{
    private static readonly byte[] Plane0 = BuildPlane0();

    /// <summary>Class of the code point that begins at <paramref name="index"/>, and its width in chars (1 or 2).</summary>
    public static CharacterClass At(ReadOnlySpan<char> text, int index, out int width)
    {
        char first = text[index];
        if (char.IsHighSurrogate(first) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
        {
            width = 2;
            return Of(CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(first, text[index + 1])));
        }
        width = 1;
        return (CharacterClass)Plane0[first];
    }

    /// <summary>Whether the code point is white space (the same set for Rust, Oniguruma and .NET).</summary>
    public static bool IsSpace(char value) => (Plane0[value] & (byte)CharacterClass.Space) != 0;

    /// <summary>A word character as Rust's regex crate counts them: alphabetic, marks, decimal digits, connectors, joiners.</summary>
    public static bool IsRustWord(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or
        UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber or
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark or
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation => true,
        _ => codePoint is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149)
            or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
    };

    /// <summary>Punctuation as the Punctuation pre-tokenizer counts it: all of ASCII's, and the P categories of older Unicode tables.</summary>
    public static bool IsPunctuation(int codePoint) =>
        (codePoint < 0x80 && codePoint > 0x20 && codePoint != 0x7F && !char.IsAsciiLetterOrDigit((char)codePoint)) ||
        (codePoint >= 0x80 && PunctuationTable.All.Contains(codePoint));

    /// <summary>Any of the N categories.</summary>
    public static bool IsNumber(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) is
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>Any of the M categories.</summary>
    public static bool IsMark(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) is
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private static byte[] BuildPlane0()
    {
        byte[] classes = new byte[0x10000];
        for (int code = 0; code < classes.Length; code++)
        {
            CharacterClass value = Of(CharUnicodeInfo.GetUnicodeCategory((char)code));
            if (char.IsWhiteSpace((char)code))
            {
                value |= CharacterClass.Space;
            }
            if (code is '\r' or '\n')
            {
                value |= CharacterClass.LineEnd;
            }
            classes[code] = (byte)value;
        }
        return classes;
    }

    private static CharacterClass Of(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.TitlecaseLetter => CharacterClass.Letter | CharacterClass.Upper,
        UnicodeCategory.LowercaseLetter => CharacterClass.Letter | CharacterClass.Lower,
        UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter =>
            CharacterClass.Letter | CharacterClass.Upper | CharacterClass.Lower,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark =>
            CharacterClass.Upper | CharacterClass.Lower,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
        _ => CharacterClass.None,
    };
}
