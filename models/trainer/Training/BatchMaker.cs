using ModelServe.Trainer.Data;
using ModelServe.Trainer.Text;

namespace ModelServe.Trainer.Training;

/// <summary>
/// Rows of token ids of one length, the positions whose next token is an answer, those next tokens, and their weights: an
/// answer of n tokens weighs as much as the root of n, so that long answers do not drown the digits of a sum.
/// </summary>
internal sealed record Batch(int Rows, int Length, long[] Ids, long[] Positions, long[] Targets, float[] Weights);

/// <summary>Draws conversations and groups them by length, so that a row holds one conversation and little padding.</summary>
internal sealed class BatchMaker(Bpe bpe, Mixture mixture)
{
    private const int RowsPerBatch = 48;

    /// <summary>The batches of one step: short conversations of about so many tokens, and sometimes a long needle.</summary>
    public List<Batch> Next(int tokens, double hardShare, int longest)
    {
        List<Conversation> drawn = [];
        for (int total = 0; total < tokens;)
        {
            Conversation conversation = Draw(hardShare);
            drawn.Add(conversation);
            total += conversation.Ids.Length;
        }

        if (longest > 0 && mixture.Random.Next(4) == 0)
        {
            int sentences = (int)(longest * Math.Pow(mixture.Random.NextDouble(), 1.5)) + 8;
            Problem needle = mixture.TrainNeedle(sentences);
            Conversation conversation = Conversation.Of(bpe, [needle], system: false);
            if (conversation.Ids.Length <= Model.DecoderShape.MaxPositions)
            {
                drawn.Add(conversation);
            }
        }

        drawn.Sort(static (a, b) => a.Ids.Length.CompareTo(b.Ids.Length));
        List<Batch> batches = [];
        for (int begin = 0; begin < drawn.Count;)
        {
            int end = begin + 1;
            while (end < drawn.Count && end - begin < RowsPerBatch && drawn[end].Ids.Length <= Math.Max(drawn[begin].Ids.Length * 1.3, 26))
            {
                end++;
            }

            batches.Add(Pack(drawn[begin..end]));
            begin = end;
        }

        return batches;
    }

    private Conversation Draw(double hardShare)
    {
        int turns = mixture.Random.Next(12) switch { 0 => 2, 1 => mixture.Random.Next(2, 4), _ => 1 };
        Problem[] problems = [.. Enumerable.Range(0, turns).Select(_ => mixture.Train(hardShare))];
        return Conversation.Of(bpe, problems, system: mixture.Random.Next(24) == 0);
    }

    private static Batch Pack(List<Conversation> rows)
    {
        int length = rows.Max(r => r.Ids.Length) - 1;
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
