namespace ModelServe.Codec.Splitting;

/// <summary>The cl100k pattern family (Llama-3: groups of three digits; Qwen: single digits), without a regular expression.</summary>
/// <param name="digits">Longest group of numbers, in code points.</param>
internal sealed class Cl100kScanner(int digits) : IPieceScanner
{
    /// <summary>The pattern with groups of up to three numbers.</summary>
    public const string ThreeDigitPattern = Head + @"\p{N}{1,3}" + Tail;

    /// <summary>The pattern with single numbers.</summary>
    public const string OneDigitPattern = Head + @"\p{N}" + Tail;

    private const string Head = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
    private const string Tail = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <inheritdoc/>
    public int NextEnd(ReadOnlySpan<char> text, int start)
    {
        int contraction = ScanSteps.ContractionAnyCase(text, start);
        if (contraction > 0)
        {
            return start + contraction;
        }
        CharacterClass kind = CharacterClasses.At(text, start, out int width);
        if ((kind & CharacterClass.Letter) != 0)
        {
            return ScanSteps.Skip(text, start + width, CharacterClass.Letter);
        }
        if ((kind & CharacterClass.Number) != 0)
        {
            return ScanSteps.SkipNumbers(text, start, digits);
        }
        int second = start + width;
        CharacterClass next = second < text.Length ? CharacterClasses.At(text, second, out _) : CharacterClass.Space;
        if ((kind & CharacterClass.LineEnd) == 0 && (next & CharacterClass.Letter) != 0)
        {
            return ScanSteps.Skip(text, second, CharacterClass.Letter);
        }
        bool spaced = text[start] == ' ' && (next & (CharacterClass.Space | CharacterClass.Number)) == 0;
        if (!spaced && (kind & CharacterClass.Space) != 0)
        {
            return ScanSteps.SkipSpacesAndLines(text, start);
        }
        int end = ScanSteps.SkipOther(text, second);
        return ScanSteps.Skip(text, end, CharacterClass.LineEnd);
    }
}
