using System.Text.RegularExpressions;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// A Split by a regular expression, done by an automaton where there is one; code points beyond U+FFFF are seen through
/// <see cref="AstralShadow"/>.
/// </summary>
/// <param name="regex">The translated pattern.</param>
/// <param name="automaton">The same as a table, or null.</param>
/// <param name="behavior">What becomes of matches.</param>
/// <param name="invert">Whether the gaps count as matches and the matches as gaps.</param>
internal sealed class RegexStage(Regex regex, PatternAutomaton? automaton, SplitBehavior behavior, bool invert) : IPreTokenizerStage
{
    // An automaton may look far ahead of a place where then nothing matches; text that makes it do so too often goes to the regular
    // expression, whose time is bounded.
    private const int VainLooks = 32;

    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        var runs = new List<SpanRun>();
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            runs.Clear();
            int done = automaton is null ? 0 : Automatic(automaton, pieces, whole, runs);
            ReadOnlySpan<char> rest = pieces.Chars(whole)[done..];
            if (AstralShadow.IsNeeded(rest) && rest.Length > 0)
            {
                var shadow = AstralShadow.Of(rest);
                Collect(shadow.Chars, whole.Start + done, runs, shadow);
            }
            else if (rest.Length > 0)
            {
                Collect(rest, whole.Start + done, runs, null);
            }
            SplitRules.Emit(pieces, whole, runs, behavior);
        }
        pieces.EndStage();
    }

    /// <summary>
    /// Splits by the automaton; gives the index up to which it went: the piece's length, or where the regular expression must take
    /// over. Where each match and gap is a piece they are emitted at once, else they are added to the runs.
    /// </summary>
    private int Automatic(PatternAutomaton table, PieceList pieces, Piece whole, List<SpanRun> runs)
    {
        ReadOnlySpan<char> chars = pieces.Chars(whole);
        int gap = 0;
        int index = 0;
        long vain = 0;
        while ((index = table.Candidate(chars, index)) < chars.Length)
        {
            int end = table.Match(chars, index, out int seen);
            if (end < 0)
            {
                vain += seen;
                index += char.IsHighSurrogate(chars[index]) && index + 1 < chars.Length && char.IsLowSurrogate(chars[index + 1]) ? 2 : 1;
                if (vain > (long)VainLooks * (chars.Length + 64))
                {
                    return gap;
                }
                continue;
            }
            Take(gap, index, isMatch: invert);
            Take(index, end, isMatch: !invert);
            gap = index = end;
        }
        Take(gap, chars.Length, isMatch: invert);
        return chars.Length;

        void Take(int start, int end, bool isMatch)
        {
            if (end > start && behavior == SplitBehavior.Isolated)
            {
                pieces.Emit(whole, whole.Start + start, whole.Start + end);
            }
            else if (end > start)
            {
                runs.Add(new SpanRun(whole.Start + start, whole.Start + end, isMatch));
            }
        }
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
