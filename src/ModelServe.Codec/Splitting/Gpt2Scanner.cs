namespace ModelServe.Codec.Splitting;

/// <summary>The GPT-2 pattern (also the ByteLevel pre-tokenizer's own), without a regular expression.</summary>
internal sealed class Gpt2Scanner : IPieceScanner
{
    /// <summary>The pattern that this scanner stands for.</summary>
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <inheritdoc/>
    public int NextEnd(ReadOnlySpan<char> text, int start)
    {
        int contraction = ScanSteps.Contraction(text, start);
        if (contraction > 0)
        {
            return start + contraction;
        }
        CharacterClass kind = CharacterClasses.At(text, start, out _);
        int body = start;
        if (text[start] == ' ' && start + 1 < text.Length)
        {
            CharacterClass next = CharacterClasses.At(text, start + 1, out _);
            if ((next & CharacterClass.Space) == 0)
            {
                body = start + 1;
                kind = next;
            }
        }
        if ((kind & CharacterClass.Letter) != 0)
        {
            return ScanSteps.Skip(text, body, CharacterClass.Letter);
        }
        if ((kind & CharacterClass.Number) != 0)
        {
            return ScanSteps.Skip(text, body, CharacterClass.Number);
        }
        return (kind & CharacterClass.Space) != 0 ? ScanSteps.SkipSpaces(text, start) : ScanSteps.SkipOther(text, body);
    }
}
