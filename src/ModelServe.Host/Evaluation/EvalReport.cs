using System.Globalization;

namespace ModelServe.Host.Evaluation;

/// <summary>Right answers per task, and overall.</summary>
internal sealed class EvalReport
{
    private readonly SortedDictionary<string, (int Right, int Asked)> _tasks = new(StringComparer.Ordinal);

    /// <summary>Answers judged right.</summary>
    public int Right { get; private set; }

    /// <summary>Questions asked.</summary>
    public int Asked { get; private set; }

    /// <summary>Share of right answers, in [0, 1].</summary>
    public double Accuracy => Asked == 0 ? 0 : (double)Right / Asked;

    /// <summary>Counts one judged answer.</summary>
    public void Add(string task, bool right)
    {
        (int before, int asked) = _tasks.GetValueOrDefault(task);
        _tasks[task] = (before + (right ? 1 : 0), asked + 1);
        Right += right ? 1 : 0;
        Asked++;
    }

    /// <summary>A table, a line a task and one for all.</summary>
    public void WriteTo(TextWriter writer)
    {
        foreach ((string task, (int right, int asked)) in _tasks)
        {
            writer.WriteLine(Line(task, right, asked));
        }

        writer.WriteLine(Line("total", Right, Asked));
    }

    private static string Line(string task, int right, int asked) =>
        string.Create(CultureInfo.InvariantCulture, $"{task,-20} {right,5} / {asked,-5} {100.0 * right / asked,6:0.0} %");
}
