namespace ModelServe.Codec.Splitting;

/// <summary>The camel-case patterns (o200k with contractions, Tekken without), without a regular expression.</summary>
/// <param name="digits">Longest group of numbers, in code points.</param>
/// <param name="contractions">Whether a contraction joins the word before it.</param>
internal sealed class O200kScanner(int digits, bool contractions) : IPieceScanner
{
    /// <summary>The o200k pattern: groups of up to three numbers, contractions.</summary>
    public const string O200kPattern =
        Prefix + @"*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + Contractions + "|" + Prefix + @"+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + Contractions +
        @"|\p{N}{1,3}" + Tail;

    /// <summary>The Tekken pattern: single numbers, no contractions.</summary>
    public const string TekkenPattern =
        Prefix + @"*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|" + Prefix + @"+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}" + Tail;

    private const string Prefix = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Contractions = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
    private const string Tail = @"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <inheritdoc/>
    public int NextEnd(ReadOnlySpan<char> text, int start)
    {
        CharacterClass kind = CharacterClasses.At(text, start, out int width);
        bool mayLead = (kind & (CharacterClass.Letter | CharacterClass.Number | CharacterClass.LineEnd)) == 0;
        int word = Word(text, start, mayLead ? width : 0);
        if (word > start)
        {
            return contractions ? word + ScanSteps.ContractionAnyCase(text, word) : word;
        }
        if ((kind & CharacterClass.Number) != 0)
        {
            return ScanSteps.SkipNumbers(text, start, digits);
        }
        int second = start + width;
        CharacterClass next = second < text.Length ? CharacterClasses.At(text, second, out _) : CharacterClass.Space;
        const CharacterClass Named = CharacterClass.Letter | CharacterClass.Number | CharacterClass.Space;
        bool spaced = text[start] == ' ' && (next & Named) == 0;
        if (!spaced && (kind & CharacterClass.Space) != 0)
        {
            return ScanSteps.SkipSpacesAndLines(text, start);
        }
        int end = ScanSteps.SkipOther(text, second);
        while (end < text.Length && text[end] is '\r' or '\n' or '/')
        {
            end++;
        }
        return end;
    }

    /// <summary>
    /// The two word alternatives in the order a backtracking matcher tries them: mixed or lower-case words with and without
    /// the leading character, then upper-case ones likewise. Gives <paramref name="start"/> where none matches.
    /// </summary>
    private static int Word(ReadOnlySpan<char> text, int start, int leadWidth)
    {
        if (leadWidth > 0)
        {
            int end = UpperThenLower(text, start + leadWidth);
            if (end > 0)
            {
                return end;
            }
        }
        int plain = UpperThenLower(text, start);
        if (plain > 0)
        {
            return plain;
        }
        if (leadWidth > 0)
        {
            int upper = ScanSteps.Skip(text, start + leadWidth, CharacterClass.Upper);
            if (upper > start + leadWidth)
            {
                return upper;
            }
        }
        return ScanSteps.Skip(text, start, CharacterClass.Upper);
    }

    /// <summary>
    /// <c>Upper*Lower+</c> from <paramref name="start"/>, or 0. The greedy run of uppers gives back up to its last member that is
    /// also lower.
    /// </summary>
    private static int UpperThenLower(ReadOnlySpan<char> text, int start)
    {
        int index = start;
        int afterLastBoth = 0;
        while (index < text.Length)
        {
            CharacterClass kind = CharacterClasses.At(text, index, out int width);
            if ((kind & CharacterClass.Upper) == 0)
            {
                if ((kind & CharacterClass.Lower) != 0)
                {
                    return ScanSteps.Skip(text, index, CharacterClass.Lower);
                }
                break;
            }
            index += width;
            if ((kind & CharacterClass.Lower) != 0)
            {
                afterLastBoth = index;
            }
        }
        return afterLastBoth;
    }
}
