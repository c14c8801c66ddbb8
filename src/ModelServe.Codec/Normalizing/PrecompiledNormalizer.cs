using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// Precompiled: replaces by SentencePiece's compiled table, as tokenizer.json's own library reads it: a short grapheme as a whole
/// by its shortest key, else character by character.
/// </summary>
internal sealed class PrecompiledNormalizer(CharsMap map) : ITextNormalizer
{
    // A grapheme of at most five UTF-8 bytes is looked up as a whole.
    private const int LongestGrapheme = 5;

    /// <inheritdoc/>
    public string Normalize(string text)
    {
        var output = new StringBuilder(text.Length);
        Span<byte> bytes = stackalloc byte[LongestGrapheme];
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            ReadOnlySpan<char> grapheme = rest[..LaterExtenders.NextGrapheme(rest)];
            rest = rest[grapheme.Length..];
            if (Encoding.UTF8.TryGetBytes(grapheme, bytes, out int count) && map.FindShortest(bytes[..count]) is { } whole)
            {
                output.Append(whole);
                continue;
            }
            foreach (Rune rune in grapheme.EnumerateRunes())
            {
                count = rune.EncodeToUtf8(bytes);
                if (map.FindShortest(bytes[..count]) is { } single)
                {
                    output.Append(single);
                }
                else
                {
                    output.Append(rune);
                }
            }
        }
        return output.ToString();
    }
}
