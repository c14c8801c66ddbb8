using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>A split at every code point that a predicate accepts (Digits, Punctuation, WhitespaceSplit).</summary>
/// <param name="isDelimiter">Whether a code point is a match.</param>
/// <param name="behavior">What becomes of matches.</param>
internal sealed class CharacterStage(Func<int, bool> isDelimiter, SplitBehavior behavior) : IPreTokenizerStage
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
            int gapStart = 0;
            int position = 0;
            while (position < chars.Length)
            {
                Rune.DecodeFromUtf16(chars[position..], out Rune rune, out int width);
                if (isDelimiter(rune.Value))
                {
                    if (position > gapStart)
                    {
                        runs.Add(new SpanRun(whole.Start + gapStart, whole.Start + position, false));
                    }
                    gapStart = position + width;
                    runs.Add(new SpanRun(whole.Start + position, whole.Start + gapStart, true));
                }
                position += width;
            }
            if (chars.Length > gapStart)
            {
                runs.Add(new SpanRun(whole.Start + gapStart, whole.Start + chars.Length, false));
            }
            SplitRules.Emit(pieces, whole, runs, behavior);
        }
        pieces.EndStage();
    }
}
