using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Trainer.Data;

/// <summary>The two evaluation sets: how many held-out questions of each task, and their JSON lines.</summary>
internal static class EvalFiles
{
    private static readonly (string Task, int Count)[] EasyCounts =
    [
        ("add", 120), ("sub", 100), ("reverse", 80), ("sort_letters", 50), ("sort_numbers", 50), ("uppercase", 60),
        ("count_letter", 50), ("json", 60), ("needle", 50), ("greeting", 30),
    ];

    private static readonly (string Task, int Count)[] HardCounts =
    [
        ("add", 130), ("sub", 110), ("reverse", 80), ("sort_letters", 60), ("sort_numbers", 50), ("uppercase", 40),
        ("count_letter", 50), ("json", 60), ("needle", 60),
    ];

    private static readonly int[] LongNeedles = [20, 30, 40, 60, 80, 100, 120, 140, 150, 155];

    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Draws one set; the same seed gives the same questions.</summary>
    public static IReadOnlyList<Problem> Draw(bool hard, int seed)
    {
        Mixture mixture = new(new Random(seed));
        List<Problem> problems = [];
        HashSet<string> seen = [];
        foreach ((string task, int count) in hard ? HardCounts : EasyCounts)
        {
            int longest = task == "needle" && hard ? LongNeedles.Length : 0;
            for (int n = 0; n < count;)
            {
                Problem problem = n < longest ? HeldOutNeedle(mixture.Random, LongNeedles[n]) : mixture.HeldOut(task, hard);
                if (seen.Add(problem.Question))
                {
                    problems.Add(problem);
                    n++;
                }
            }
        }

        return problems;
    }

    public static void Write(string path, IEnumerable<Problem> problems)
    {
        StringBuilder lines = new();
        foreach (Problem problem in problems)
        {
            JsonObject line = new()
            {
                ["task"] = problem.Task,
                ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = problem.Question }),
                ["expected"] = problem.Answer,
            };
            if (problem.Schema is not null)
            {
                line["json_schema"] = problem.Schema.DeepClone();
            }

            lines.Append(line.ToJsonString(Compact)).Append('\n');
        }

        File.WriteAllText(path, lines.ToString());
    }

    private static Problem HeldOutNeedle(Random random, int sentences)
    {
        while (true)
        {
            Problem problem = Needle.Make(random, sentences);
            if (problem.IsHeldOut)
            {
                return problem;
            }
        }
    }
}
