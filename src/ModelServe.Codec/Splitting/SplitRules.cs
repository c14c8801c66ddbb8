namespace ModelServe.Codec.Splitting;

/// <summary>Turns matches and gaps into pieces by one of the five behaviours.</summary>
internal static class SplitRules
{
    /// <summary>Emits the pieces of <paramref name="whole"/>.</summary>
    /// <param name="pieces">The stage under way.</param>
    /// <param name="whole">The piece that is cut.</param>
    /// <param name="runs">Matches and gaps that cover the piece in order.</param>
    /// <param name="behavior">What to do with matches.</param>
    public static void Emit(PieceList pieces, Piece whole, List<SpanRun> runs, SplitBehavior behavior)
    {
        switch (behavior)
        {
            case SplitBehavior.MergedWithPrevious:
                MergeBackward(pieces, whole, runs);
                break;
            case SplitBehavior.MergedWithNext:
                MergeForward(pieces, whole, runs);
                break;
            case SplitBehavior.Contiguous:
                JoinEqual(pieces, whole, runs);
                break;
            default:
                foreach (SpanRun run in runs)
                {
                    if (behavior == SplitBehavior.Isolated || !run.IsMatch)
                    {
                        pieces.Emit(whole, run.Start, run.End);
                    }
                }
                break;
        }
    }

    private static void MergeBackward(PieceList pieces, Piece whole, List<SpanRun> runs)
    {
        int start = -1;
        int end = -1;
        bool previousMatch = false;
        foreach (SpanRun run in runs)
        {
            bool joins = run.IsMatch && !previousMatch && start >= 0;
            if (!joins)
            {
                if (start >= 0)
                {
                    pieces.Emit(whole, start, end);
                }
                start = run.Start;
            }
            end = run.End;
            previousMatch = run.IsMatch;
        }
        if (start >= 0)
        {
            pieces.Emit(whole, start, end);
        }
    }

    private static void MergeForward(PieceList pieces, Piece whole, List<SpanRun> runs)
    {
        int index = 0;
        while (index < runs.Count)
        {
            // A match joins what follows unless that is a match too; of adjacent matches only the last joins the gap behind it.
            bool joins = runs[index].IsMatch && index + 1 < runs.Count && !runs[index + 1].IsMatch;
            int last = joins ? index + 1 : index;
            pieces.Emit(whole, runs[index].Start, runs[last].End);
            index = last + 1;
        }
    }

    private static void JoinEqual(PieceList pieces, Piece whole, List<SpanRun> runs)
    {
        int index = 0;
        while (index < runs.Count)
        {
            int last = index;
            while (last + 1 < runs.Count && runs[last + 1].IsMatch == runs[index].IsMatch)
            {
                last++;
            }
            pieces.Emit(whole, runs[index].Start, runs[last].End);
            index = last + 1;
        }
    }
}
