using ModelServe.Trainer.Data;
using ModelServe.Trainer.Model;
using ModelServe.Trainer.Text;
using static TorchSharp.torch;

namespace ModelServe.Trainer.Training;

/// <summary>Greedy answers without a cache, compared with the expected text; prompts of one length run as one batch.</summary>
internal static class GreedyEvaluator
{
    private const int MaxAnswer = 96;
    private const int MaxBatchTokens = 4096;

    /// <summary>Right answers and questions by task.</summary>
    public static SortedDictionary<string, (int Right, int Total)> Run(
        Decoder model, Bpe bpe, IEnumerable<Problem> problems, Action<Problem, string>? wrong = null)
    {
        SortedDictionary<string, (int Right, int Total)> score = new(StringComparer.Ordinal);
        using IDisposable guard = no_grad();
        var groups = problems.Select(p => (Problem: p, Prompt: Conversation.Prompt(bpe, p.Question))).GroupBy(p => p.Prompt.Length);
        foreach (var chunk in groups.SelectMany(g => g.Chunk(Math.Max(1, MaxBatchTokens / g.Key))))
        {
            List<int>[] answers = Answer(model, [.. chunk.Select(c => c.Prompt)]);
            for (int i = 0; i < chunk.Length; i++)
            {
                Problem problem = chunk[i].Problem;
                string answer = bpe.Decode(answers[i]);
                bool right = answer == problem.Answer;
                (int rights, int total) = score.GetValueOrDefault(problem.Task);
                score[problem.Task] = (rights + (right ? 1 : 0), total + 1);
                if (!right)
                {
                    wrong?.Invoke(problem, answer);
                }
            }
        }

        return score;
    }

    public static string Summary(SortedDictionary<string, (int Right, int Total)> score)
    {
        double all = 100.0 * score.Values.Sum(v => v.Right) / score.Values.Sum(v => v.Total);
        return FormattableString.Invariant($"{all:F1} % ")
            + string.Join(' ', score.Select(s => FormattableString.Invariant($"{s.Key}={100.0 * s.Value.Right / s.Value.Total:F0}")));
    }

    private static List<int>[] Answer(Decoder model, int[][] prompts)
    {
        int rows = prompts.Length;
        List<int>[] answers = [.. prompts.Select(_ => new List<int>())];
        bool[] done = new bool[rows];
        for (int step = 0; step < MaxAnswer && done.Contains(false); step++)
        {
            int length = prompts[0].Length + step;
            if (length > DecoderShape.MaxPositions)
            {
                break;
            }

            long[] ids = [.. prompts.SelectMany((p, r) => p.Concat(answers[r])).Select(i => (long)i)];
            long[] last = [.. Enumerable.Range(0, rows).Select(r => ((long)(r + 1) * length) - 1)];
            long[] next;
            using (NewDisposeScope())
            {
                next = model.Forward(tensor(ids).view(rows, length), tensor(last)).argmax(-1).data<long>().ToArray();
            }

            for (int r = 0; r < rows; r++)
            {
                done[r] |= next[r] == Bpe.EndOfTurn;
                answers[r].Add(done[r] ? Bpe.EndOfText : (int)next[r]);
            }
        }

        return answers;
    }
}
