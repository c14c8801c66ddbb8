using ModelServe.Trainer.Text;

namespace ModelServe.Trainer.Training;

/// <summary>
/// Rows of token ids of one length, the positions whose next token is an answer, those next tokens, and their weights: an
/// answer of n tokens weighs as much as the root of n, so that long answers do not drown the digits of a sum.
/// </summary>
internal sealed record Batch(int Rows, int Length, long[] Ids, long[] Positions, long[] Targets, float[] Weights)
{
    /// <summary>One conversation a row, padded at the end.</summary>
    public static Batch Of(IReadOnlyList<Conversation> rows, int length)
    {
        long[] ids = new long[rows.Count * length];
        List<long> positions = [];
        List<long> targets = [];
        List<float> weights = [];
        for (int r = 0; r < rows.Count; r++)
        {
            Conversation row = rows[r];
            for (int t = 0; t < row.Ids.Length - 1; t++)
            {
                ids[(r * length) + t] = row.Ids[t];
                if (row.IsAnswer[t + 1])
                {
                    positions.Add((r * length) + t);
                    targets.Add(row.Ids[t + 1]);
                    weights.Add(1 / MathF.Sqrt(AnswerLength(row, t + 1)));
                }
            }
        }

        return new(rows.Count, length, ids, [.. positions], [.. targets], [.. weights]);
    }

    private static int AnswerLength(Conversation row, int at)
    {
        int begin = at;
        int end = at;
        while (row.IsAnswer[begin - 1])
        {
            begin--;
        }

        while (end < row.Ids.Length && row.IsAnswer[end])
        {
            end++;
        }

        return end - begin;
    }
}
