using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Strings as Python sees them: sequences of code points, though they are stored as UTF-16.</summary>
internal static class CodePoints
{
    /// <summary>Number of code points; a lone surrogate counts as one.</summary>
    public static int Length(string text)
    {
        if (IsFlat(text))
        {
            return text.Length;
        }

        int pairs = 0;
        for (int i = 0; i + 1 < text.Length; i++)
        {
            if (char.IsSurrogatePair(text[i], text[i + 1]))
            {
                pairs++;
                i++;
            }
        }

        return text.Length - pairs;
    }

    /// <summary>The code points as strings (or markup) of one each.</summary>
    public static IEnumerable<object?> Split(string text, bool isMarkup)
    {
        for (int i = 0; i < text.Length;)
        {
            int size = SizeAt(text, i);
            string part = text.Substring(i, size);
            i += size;
            yield return isMarkup ? new Markup(part) : part;
        }
    }

    /// <summary>The UTF-16 offset of a code point index within the string's length.</summary>
    public static int Offset(string text, int index)
    {
        if (IsFlat(text))
        {
            return Math.Min(index, text.Length);
        }

        int at = 0;
        for (; index > 0 && at < text.Length; index--)
        {
            at += SizeAt(text, at);
        }

        return at;
    }

    /// <summary>The code point index of a UTF-16 offset.</summary>
    public static int Index(string text, int offset) => IsFlat(text) ? offset : Length(text[..offset]);

    /// <summary>The code points from <paramref name="start"/> to <paramref name="stop"/> (exclusive), both within the length.</summary>
    public static string Substring(string text, int start, int stop)
    {
        if (stop <= start)
        {
            return "";
        }

        int from = Offset(text, start);
        return text[from..Math.Max(from, Offset(text, stop))];
    }

    /// <summary>The order by code point.</summary>
    public static int Compare(string left, string right)
    {
        int shared = Math.Min(left.Length, right.Length);
        for (int i = 0; i < shared; i++)
        {
            if (left[i] != right[i])
            {
                return Rank(left[i]).CompareTo(Rank(right[i]));
            }
        }

        return left.Length.CompareTo(right.Length);

        // Surrogates stand for code points above all of the basic plane.
        static int Rank(char c) => char.IsSurrogate(c) ? c + 0x10000 : c;
    }

    /// <summary>The string in reverse order of its code points.</summary>
    public static string Reverse(string text)
    {
        var reversed = new StringBuilder(text.Length);
        for (int end = text.Length; end > 0;)
        {
            int size = end > 1 && char.IsSurrogatePair(text[end - 2], text[end - 1]) ? 2 : 1;
            reversed.Append(text, end - size, size);
            end -= size;
        }

        return reversed.ToString();
    }

    private static bool IsFlat(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF');

    private static int SizeAt(string text, int at) =>
        at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]) ? 2 : 1;
}
