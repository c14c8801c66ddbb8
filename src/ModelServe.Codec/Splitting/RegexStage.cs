using System.Text.RegularExpressions;

namespace ModelServe.Codec.Splitting;

/// <summary>A Split by a regular expression; code points beyond U+FFFF are seen through <see cref="AstralShadow"/>.</summary>
/// <param name="regex">The translated pattern.</param>
/// <param name="behavior">What becomes of matches.</param>
/// <param name="invert">Whether the gaps count as matches and the matches as gaps.</param>
internal sealed class RegexStage(Regex regex, SplitBehavior behavior, bool invert) : IPreTokenizerStage
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
            if (AstralShadow.IsNeeded(chars))
            {
                var shadow = AstralShadow.Of(chars);
                Collect(shadow.Chars, whole.Start, runs, shadow);
            }
            else
            {
                Collect(chars, whole.Start, runs, null);
            }
            SplitRules.Emit(pieces, whole, runs, behavior);
        }
        pieces.EndStage();
    }

    private void Collect(ReadOnlySpan<char> chars, int offset, List<SpanRun> runs, AstralShadow? shadow)
    {
        int previous = 0;
        foreach (ValueMatch match in regex.EnumerateMatches(chars))
        {
            Add(previous, match.Index, isMatch: invert);
            Add(match.Index, match.Index + match.Length, isMatch: !invert);
            previous = match.Index + match.Length;
        }
        Add(previous, chars.Length, isMatch: invert);

        void Add(int start, int end, bool isMatch)
        {
            if (end > start)
            {
                int from = shadow is null ? start : shadow.Original(start);
                int to = shadow is null ? end : shadow.Original(end);
                runs.Add(new SpanRun(offset + from, offset + to, isMatch));
            }
        }
    }
}
