namespace ModelServe.Codec.Splitting;

/// <summary>A Split whose matches leave no gap and are each a piece, done by a hand-written scanner.</summary>
internal sealed class ScannerStage(IPieceScanner scanner) : IPreTokenizerStage
{
    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            ReadOnlySpan<char> chars = pieces.Chars(whole);
            int start = 0;
            while (start < chars.Length)
            {
                int end = scanner.NextEnd(chars, start);
                pieces.Emit(whole, whole.Start + start, whole.Start + end);
                start = end;
            }
        }
        pieces.EndStage();
    }
}
