using System.Text;
using System.Text.RegularExpressions;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// The distinctions that one expression makes between characters: all that no class tells apart are one symbol. The classes are
/// asked of .NET's own regular expressions, so that they mean the same. Immutable and thread-safe.
/// </summary>
internal sealed class PatternAlphabet
{
    private const int MostClasses = 64;
    private const int MostSymbols = 255;

    private static readonly string AllChars = string.Create(0x10000, 0, static (chars, _) =>
    {
        for (int code = 0; code < chars.Length; code++)
        {
            chars[code] = (char)code;
        }
    });

    private readonly byte[] _symbols = new byte[0x10000];
    private readonly List<ulong> _members = [];

    private PatternAlphabet()
    {
    }

    /// <summary>Number of symbols; the end of the text is one more.</summary>
    public int Count => _members.Count;

    /// <summary>The alphabet of some classes; null where there are too many distinctions.</summary>
    /// <param name="classes">The classes as .NET writes them.</param>
    public static PatternAlphabet? Of(IReadOnlyList<string> classes)
    {
        if (classes.Count > MostClasses)
        {
            return null;
        }
        ulong[] signatures = new ulong[0x10000];
        for (int index = 0; index < classes.Count; index++)
        {
            Mark(signatures, classes[index], 1UL << index);
        }
        var alphabet = new PatternAlphabet();
        Dictionary<ulong, int> numbers = [];
        for (int code = 0; code < signatures.Length; code++)
        {
            if (!numbers.TryGetValue(signatures[code], out int symbol))
            {
                symbol = numbers.Count;
                if (symbol == MostSymbols)
                {
                    return null;
                }
                numbers.Add(signatures[code], symbol);
                alphabet._members.Add(signatures[code]);
            }
            alphabet._symbols[code] = (byte)symbol;
        }
        return alphabet;
    }

    /// <summary>The symbol of the code point at an index, and its width in chars.</summary>
    public int At(ReadOnlySpan<char> text, int index, out int width)
    {
        char value = text[index];
        width = 1;
        if (!char.IsSurrogate(value))
        {
            return _symbols[value];
        }
        Rune.DecodeFromUtf16(text[index..], out Rune rune, out width);
        return _symbols[AstralShadow.Seen(rune)];
    }

    /// <summary>The symbol of a char.</summary>
    public int Of(char value) => _symbols[value];

    /// <summary>Whether a symbol's characters are in a class.</summary>
    public bool IsIn(int symbol, int number) => (_members[symbol] >> number & 1) != 0;

    private static void Mark(ulong[] signatures, string text, ulong bit)
    {
        if (text.Length == 1)
        {
            signatures[text[0]] |= bit;
            return;
        }
        foreach (ValueMatch match in new Regex(text, RegexOptions.CultureInvariant).EnumerateMatches(AllChars))
        {
            signatures[match.Index] |= bit;
        }
    }
}
