using System.Globalization;
using System.Text;
using ModelServe.Codec.Normalizing;

namespace ModelServe.Codec.Templates;

/// <summary>Python's case mappings of strings, with the few that change the length.</summary>
internal static class TextCase
{
    /// <summary>Upper case.</summary>
    public static string Upper(string text)
    {
        string upper = Map(text, static code => code < 0x80 ? char.ToUpperInvariant((char)code) : CaseTables.Upper(code));
        if (!text.AsSpan().ContainsAny('ß', 'ŉ', 'ǰ') && !text.AsSpan().ContainsAnyInRange('ﬀ', 'ﬆ'))
        {
            return upper;
        }

        var mapped = new StringBuilder(text.Length + 4);
        foreach (char c in upper)
        {
            mapped.Append(c switch
            {
                'ß' => "SS",
                'ŉ' => "ʼN",
                'ǰ' => "J̌",
                'ﬀ' => "FF",
                'ﬁ' => "FI",
                'ﬂ' => "FL",
                'ﬃ' => "FFI",
                'ﬄ' => "FFL",
                'ﬅ' or 'ﬆ' => "ST",
                _ => c.ToString(),
            });
        }

        return mapped.ToString();
    }

    /// <summary>Lower case; a capital sigma at the end of a word becomes the final form.</summary>
    public static string Lower(string text)
    {
        string lower = Map(text, LowerOf);
        if (!text.AsSpan().ContainsAny('Σ', 'İ'))
        {
            return lower;
        }

        var mapped = new StringBuilder(text.Length + 4);
        for (int i = 0; i < text.Length; i++)
        {
            bool final = text[i] == 'Σ' && i > 0 && char.IsLetter(text[i - 1]) && (i + 1 == text.Length || !char.IsLetter(text[i + 1]));
            mapped.Append(final ? "ς" : text[i] == 'İ' ? "i̇" : lower[i].ToString());
        }

        return mapped.ToString();
    }

    /// <summary>First character upper, the rest lower.</summary>
    public static string Capitalize(string text)
    {
        int first = text.Length > 1 && char.IsSurrogatePair(text[0], text[1]) ? 2 : Math.Min(1, text.Length);
        return TitleOf(text[..first]) + Lower(text)[first..];
    }

    /// <summary>Upper case after every character that has no case, lower elsewhere.</summary>
    public static string Title(string text)
    {
        var mapped = new StringBuilder(text.Length);
        bool inWord = false;
        foreach (char c in text)
        {
            mapped.Append(inWord ? ((char)LowerOf(c)).ToString() : TitleOf(c.ToString()));
            inWord = char.IsLower(c) || char.IsUpper(c) || CharUnicodeInfo.GetUnicodeCategory(c) == UnicodeCategory.TitlecaseLetter;
        }

        return mapped.ToString();
    }

    /// <summary>Upper becomes lower and lower upper.</summary>
    public static string Swap(string text) =>
        string.Concat(text.Select(c => char.IsUpper(c) ? ((char)LowerOf(c)).ToString() : Upper(c.ToString())));

    /// <summary>Whether the string has characters and all of them are of the kind.</summary>
    public static object All(string text, Func<char, bool> isKind) => Boxed.Of(text.Length > 0 && text.All(isKind));

    private static int LowerOf(int code) => code < 0x80 ? char.ToLowerInvariant((char)code) : CaseTables.Lower(code);

    /// <summary>Maps code points one by one; no mapping changes the number of UTF-16 units.</summary>
    private static string Map(string text, Func<int, int> map) => string.Create(text.Length, (text, map), static (output, state) =>
    {
        for (int index = 0; index < output.Length; index++)
        {
            output[index] = state.text[index];
            if (index + 1 < output.Length && char.IsSurrogatePair(state.text[index], state.text[index + 1]))
            {
                int mapped = state.map(char.ConvertToUtf32(state.text[index], state.text[index + 1]));
                index += new Rune(mapped).EncodeToUtf16(output[index..]) - 1;
            }
            else if (!char.IsSurrogate(output[index]))
            {
                output[index] = (char)state.map(output[index]);
            }
        }
    });

    private static string TitleOf(string first)
    {
        string upper = Upper(first);
        return upper.Length > first.Length && first.Length > 0 ? upper[..1] + Lower(upper[1..]) : upper;
    }
}
