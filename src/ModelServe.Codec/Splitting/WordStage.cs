using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>The Whitespace pre-tokenizer: runs of word characters, and runs of what is neither word nor space; spaces are dropped.</summary>
internal sealed class WordStage : IPreTokenizerStage
{
    private enum Kind
    {
        Space,
        Word,
        Other,
    }

    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            ReadOnlySpan<char> chars = pieces.Chars(whole);
            int start = 0;
            Kind current = Kind.Space;
            int position = 0;
            while (position < chars.Length)
            {
                Rune.DecodeFromUtf16(chars[position..], out Rune rune, out int width);
                Kind kind = CharacterClasses.IsRustWord(rune.Value) ? Kind.Word : Rune.IsWhiteSpace(rune) ? Kind.Space : Kind.Other;
                if (kind != current)
                {
                    if (current != Kind.Space)
                    {
                        pieces.Emit(whole, whole.Start + start, whole.Start + position);
                    }
                    start = position;
                    current = kind;
                }
                position += width;
            }
            if (current != Kind.Space)
            {
                pieces.Emit(whole, whole.Start + start, whole.Start + chars.Length);
            }
        }
        pieces.EndStage();
    }
}
