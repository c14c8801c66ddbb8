using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// A copy of a text in which each code point beyond U+FFFF is one char of the same general category, because .NET regular
/// expressions match UTF-16 units and see no category in half a surrogate pair.
/// </summary>
internal sealed class AstralShadow
{
    // One stand-in per UnicodeCategory, in the order of that enumeration; chosen among characters that no pattern names singly.
    private const string StandIns =
        "\u0416\u0436\u01C5\u02E0\u05D0\u0301\u0903\u20DD\u0661\u2160\u2460" +
        "\u2003\u2028\u2029\u0001\u2060\uD800\uE000\u203F\u2010\u2045\u2046\u00AB\u00BB\u2020\u2208\u20A0\u02C2\u2603\u0378";

    private readonly char[] _chars;
    private readonly int[] _offsets;

    private AstralShadow(char[] chars, int[] offsets)
    {
        _chars = chars;
        _offsets = offsets;
    }

    /// <summary>The copy, one char a code point.</summary>
    public ReadOnlySpan<char> Chars => _chars;

    /// <summary>Whether the text has code points beyond U+FFFF.</summary>
    public static bool IsNeeded(ReadOnlySpan<char> text) => text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0;

    /// <summary>The shadow of a text without lone surrogates.</summary>
    public static AstralShadow Of(ReadOnlySpan<char> text)
    {
        int count = 0;
        foreach (char value in text)
        {
            count += char.IsLowSurrogate(value) ? 0 : 1;
        }
        char[] chars = new char[count];
        int[] offsets = new int[count + 1];
        int index = 0;
        int offset = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            chars[index] = Seen(rune);
            offsets[index] = offset;
            offset += rune.Utf16SequenceLength;
            index++;
        }
        offsets[index] = offset;
        return new AstralShadow(chars, offsets);
    }

    /// <summary>The char of the original text where the shadow's char of that index begins.</summary>
    public int Original(int index) => _offsets[index];

    /// <summary>What a regular expression sees of a code point: itself, or its stand-in.</summary>
    public static char Seen(Rune rune) => rune.IsBmp ? (char)rune.Value : StandIn(rune);

    /// <summary>The stand-in of a category; its own category is the same (tested).</summary>
    internal static char StandIn(UnicodeCategory category) => StandIns[(int)category];

    /// <summary>A circled letter is a symbol by category and yet a word character; its stand-in is one too.</summary>
    private static char StandIn(Rune rune)
    {
        UnicodeCategory category = Rune.GetUnicodeCategory(rune);
        return category == UnicodeCategory.OtherSymbol && CharacterClasses.IsRustWord(rune.Value) ? '\u24B6' : StandIn(category);
    }
}
