namespace ModelServe.Codec.Splitting;

/// <summary>Steps that the known patterns share; each stands for one alternative of their regular expressions.</summary>
internal static class ScanSteps
{
    /// <summary>First index at or after <paramref name="start"/> whose code point has none of the classes in <paramref name="wanted"/>.</summary>
    public static int Skip(ReadOnlySpan<char> text, int start, CharacterClass wanted)
    {
        int index = start;
        while (index < text.Length && (CharacterClasses.At(text, index, out int width) & wanted) != 0)
        {
            index += width;
        }
        return index;
    }

    /// <summary><c>[^\s\p{L}\p{N}]*</c>.</summary>
    public static int SkipOther(ReadOnlySpan<char> text, int start)
    {
        const CharacterClass Named = CharacterClass.Letter | CharacterClass.Number | CharacterClass.Space;
        int index = start;
        while (index < text.Length && (CharacterClasses.At(text, index, out int width) & Named) == 0)
        {
            index += width;
        }
        return index;
    }

    /// <summary><c>\p{N}{1,limit}</c>, counted in code points; the first is known to match.</summary>
    public static int SkipNumbers(ReadOnlySpan<char> text, int start, int limit)
    {
        int index = start;
        for (int count = 0; count < limit && index < text.Length; count++)
        {
            if ((CharacterClasses.At(text, index, out int width) & CharacterClass.Number) == 0)
            {
                break;
            }
            index += width;
        }
        return index;
    }

    /// <summary><c>\s+(?!\S)|\s+</c>: all of a run at the end of the text, else all but its last character (which leads the next word).</summary>
    public static int SkipSpaces(ReadOnlySpan<char> text, int start)
    {
        int end = Skip(text, start, CharacterClass.Space);
        return end == text.Length || end - start == 1 ? end : end - 1;
    }

    /// <summary><c>\s*[\r\n]+|\s+(?!\S)|\s+</c>.</summary>
    public static int SkipSpacesAndLines(ReadOnlySpan<char> text, int start)
    {
        int end = Skip(text, start, CharacterClass.Space);
        int lastLineEnd = text[start..end].LastIndexOfAny('\r', '\n');
        if (lastLineEnd >= 0)
        {
            return start + lastLineEnd + 1;
        }
        return end == text.Length || end - start == 1 ? end : end - 1;
    }

    /// <summary>Length of <c>'s|'t|'re|'ve|'m|'ll|'d</c> at <paramref name="start"/>, 0 where there is none.</summary>
    public static int Contraction(ReadOnlySpan<char> text, int start)
    {
        if (start + 1 >= text.Length || text[start] != '\'')
        {
            return 0;
        }
        switch (text[start + 1])
        {
            case 's' or 't' or 'm' or 'd':
                return 2;
            case 'r' or 'v' when start + 2 < text.Length && text[start + 2] == 'e':
            case 'l' when start + 2 < text.Length && text[start + 2] == 'l':
                return 3;
            default:
                return 0;
        }
    }

    /// <summary>As <see cref="Contraction"/> under <c>(?i:…)</c>; U+017F (long s) folds to s.</summary>
    public static int ContractionAnyCase(ReadOnlySpan<char> text, int start)
    {
        if (start + 1 >= text.Length || text[start] != '\'')
        {
            return 0;
        }
        switch (text[start + 1])
        {
            case 's' or 'S' or '\u017F' or 't' or 'T' or 'm' or 'M' or 'd' or 'D':
                return 2;
            case 'r' or 'R' or 'v' or 'V' when start + 2 < text.Length && text[start + 2] is 'e' or 'E':
            case 'l' or 'L' when start + 2 < text.Length && text[start + 2] is 'l' or 'L':
                return 3;
            default:
                return 0;
        }
    }
}
