namespace ModelServe.Codec.Splitting;

/// <summary>A Split by a literal string.</summary>
/// <param name="delimiter">What is looked for; not empty.</param>
/// <param name="behavior">What becomes of matches.</param>
/// <param name="invert">Whether the gaps count as matches and the matches as gaps.</param>
internal sealed class LiteralStage(string delimiter, SplitBehavior behavior, bool invert) : IPreTokenizerStage
{
    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        var runs = new List<SpanRun>();
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            ReadOnlySpan<char> chars = pieces.Chars(whole);
            runs.Clear();
            int previous = 0;
            while (previous < chars.Length)
            {
                int found = chars[previous..].IndexOf(delimiter, StringComparison.Ordinal);
                int gapEnd = found < 0 ? chars.Length : previous + found;
                if (gapEnd > previous)
                {
                    runs.Add(new SpanRun(whole.Start + previous, whole.Start + gapEnd, invert));
                }
                if (found < 0)
                {
                    break;
                }
                previous = gapEnd + delimiter.Length;
                runs.Add(new SpanRun(whole.Start + gapEnd, whole.Start + previous, !invert));
            }
            SplitRules.Emit(pieces, whole, runs, behavior);
        }
        pieces.EndStage();
    }
}
