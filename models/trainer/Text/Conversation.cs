using ModelServe.Trainer.Data;

namespace ModelServe.Trainer.Text;

/// <summary>Token ids of one ChatML conversation, with a mark on those the model must produce.</summary>
internal sealed record Conversation(int[] Ids, bool[] IsAnswer)
{
    public const string SystemPrompt = "You are a helpful assistant.";

    /// <summary>A whole conversation with its answers.</summary>
    public static Conversation Of(Bpe bpe, IReadOnlyList<Problem> turns, bool system)
    {
        List<int> ids = system ? [.. Turn(bpe, "system", SystemPrompt)] : [];
        List<bool> marks = [.. ids.Select(_ => false)];
        foreach (Problem problem in turns)
        {
            int[] prompt = [.. Turn(bpe, "user", problem.Question), Bpe.StartOfTurn, .. bpe.Encode("assistant\n")];
            int[] answer = [.. bpe.Encode(problem.Answer), Bpe.EndOfTurn];
            int[] tail = [.. bpe.Encode("\n")];
            ids.AddRange([.. prompt, .. answer, .. tail]);
            marks.AddRange([.. prompt.Select(_ => false), .. answer.Select(_ => true), .. tail.Select(_ => false)]);
        }

        return new([.. ids], [.. marks]);
    }

    /// <summary>The prompt of one question, up to where the answer starts.</summary>
    public static int[] Prompt(Bpe bpe, string question) =>
        [.. Turn(bpe, "user", question), Bpe.StartOfTurn, .. bpe.Encode("assistant\n")];

    private static IEnumerable<int> Turn(Bpe bpe, string role, string content) =>
        [Bpe.StartOfTurn, .. bpe.Encode(role + "\n" + content), Bpe.EndOfTurn, .. bpe.Encode("\n")];
}
