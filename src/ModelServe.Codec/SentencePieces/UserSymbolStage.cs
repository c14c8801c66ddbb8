using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.SentencePieces;

/// <summary>Cuts out every user-defined piece, from left to right, the longest first.</summary>
internal sealed class UserSymbolStage(UserSymbols symbols) : IPreTokenizerStage
{
    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            ReadOnlySpan<char> chars = pieces.Chars(whole);
            int start = 0;
            int position = 0;
            while (position < chars.Length)
            {
                int length = symbols.Match(chars[position..], out _);
                if (length == 0)
                {
                    position++;
                    continue;
                }
                pieces.Emit(whole, whole.Start + start, whole.Start + position);
                start = position + length;
                pieces.Emit(whole, whole.Start + position, whole.Start + start);
                position = start;
            }
            pieces.Emit(whole, whole.Start + start, whole.Start + chars.Length);
        }
        pieces.EndStage();
    }
}
