using System.Globalization;

namespace ModelServe.Trainer.Training;

/// <summary>What the command line says about one run.</summary>
internal sealed class TrainingOptions
{
    private readonly Dictionary<string, string> _values = [];

    public TrainingOptions(ReadOnlySpan<string> arguments)
    {
        for (int i = 0; i < arguments.Length; i += 2)
        {
            if (!arguments[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == arguments.Length)
            {
                throw new ArgumentException($"expected --name value, found '{arguments[i]}'");
            }

            _values.Add(arguments[i][2..], arguments[i + 1]);
        }
    }

    public string Text(string name, string otherwise) => _values.GetValueOrDefault(name, otherwise);

    public int Whole(string name, int otherwise) =>
        _values.TryGetValue(name, out string? text) ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    public double Real(string name, double otherwise) =>
        _values.TryGetValue(name, out string? text) ? double.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
