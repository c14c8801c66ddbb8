namespace ModelServe.Trainer.Data;

/// <summary>Draws questions by task weight, sums and differences with weights of their own; training draws skip the held-out sixteenth, evaluation draws keep only it.</summary>
internal sealed class Mixture(Random random, int sums = 24, int differences = 22, double plainShare = 0)
{
    private static readonly (string Task, int Weight)[] Others =
    [
        ("reverse", 10), ("sort_letters", 7), ("sort_numbers", 7), ("uppercase", 5), ("count_letter", 7),
        ("json", 7), ("needle", 5), ("greeting", 3),
    ];

    private readonly int _total = Others.Sum(w => w.Weight) + sums + differences;

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
        int at = random.Next(_total) - sums;
        if (at < 0)
        {
            return "add";
        }

        at -= differences;
        if (at < 0)
        {
            return "sub";
        }

        foreach ((string task, int weight) in Others)
        {
            if (at < weight)
            {
                return task;
            }

            at -= weight;
        }

        return Others[0].Task;
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
