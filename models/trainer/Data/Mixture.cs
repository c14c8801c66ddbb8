using System.Globalization;

namespace ModelServe.Trainer.Data;

/// <summary>
/// Draws questions by task weight, which text like "add=34,sub=30" changes; training draws skip the held-out sixteenth, evaluation draws keep only it.
/// </summary>
internal sealed class Mixture(Random random, string weights = "", double plainShare = 0)
{
    private static readonly (string Task, int Weight)[] Usual =
    [
        ("add", 24), ("sub", 22), ("reverse", 10), ("sort_letters", 7), ("sort_numbers", 7), ("uppercase", 5), ("count_letter", 7),
        ("json", 7), ("needle", 5), ("greeting", 3),
    ];

    private readonly (string Task, int Weight)[] _weights = Weigh(weights);

    public Random Random => random;

    /// <summary>A training question, with the chances that a sum or difference, or another question, is a hard one.</summary>
    public Problem Train(double hardArithmetic, double hardOther)
    {
        while (true)
        {
            string task = DrawTask();
            double share = task is "add" or "sub" ? hardArithmetic : hardOther;
            Problem problem = Make(task, random.NextDouble() < share, plainShare);
            if (!problem.IsHeldOut)
            {
                return problem;
            }
        }
    }

    /// <summary>A held-out question of one task.</summary>
    public Problem HeldOut(string task, bool hard)
    {
        while (true)
        {
            Problem problem = Make(task, hard, plainShare: 0);
            if (problem.IsHeldOut)
            {
                return problem;
            }
        }
    }

    /// <summary>A needle question for training with so many filler sentences.</summary>
    public Problem TrainNeedle(int sentences)
    {
        while (true)
        {
            Problem problem = Needle.Make(random, sentences);
            if (!problem.IsHeldOut)
            {
                return problem;
            }
        }
    }

    private string DrawTask()
    {
        int at = random.Next(_weights.Sum(w => w.Weight));
        foreach ((string task, int weight) in _weights)
        {
            if (at < weight)
            {
                return task;
            }

            at -= weight;
        }

        return _weights[0].Task;
    }

    private static (string Task, int Weight)[] Weigh(string changes)
    {
        Dictionary<string, int> changed = changes.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(c => c.Split('='))
            .ToDictionary(c => c[0], c => int.Parse(c[1], CultureInfo.InvariantCulture));
        return [.. Usual.Select(u => (u.Task, changed.GetValueOrDefault(u.Task, u.Weight)))];
    }

    private Problem Make(string task, bool hard, double plainShare) => task switch
    {
        "add" => Arithmetic.Sum(random, hard, plainShare),
        "sub" => Arithmetic.Difference(random, hard, plainShare),
        "reverse" => Strings.Reverse(random, hard),
        "sort_letters" => Strings.Sort(random, hard),
        "sort_numbers" => Strings.SortNumbers(random, hard),
        "uppercase" => Strings.Upper(random, hard),
        "count_letter" => Strings.Count(random, hard),
        "json" => Extraction.Make(random, hard),
        "needle" => Needle.Make(random, hard ? random.Next(5, 17) : random.Next(1, 5)),
        "greeting" => Greeting.Make(random),
        _ => throw new ArgumentOutOfRangeException(nameof(task), task, "unknown task"),
    };
}
