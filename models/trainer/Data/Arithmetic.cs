using System.Globalization;

namespace ModelServe.Trainer.Data;

/// <summary>Sums, and differences that are never negative.</summary>
internal static class Arithmetic
{
    private static readonly string[] Sums =
    [
        "What is {0} + {1}?", "What is {0} + {1}?", "What is {0} + {1}?", "{0} + {1}", "{0} + {1} =", "{0}+{1}",
        "Compute {0} + {1}.", "Calculate {0} + {1}.", "Add {0} and {1}.", "What is {0} plus {1}?",
        "What is the sum of {0} and {1}?", "How much is {0} + {1}?",
    ];

    private static readonly string[] Differences =
    [
        "What is {0} - {1}?", "What is {0} - {1}?", "What is {0} - {1}?", "{0} - {1}", "{0} - {1} =", "{0}-{1}",
        "Compute {0} - {1}.", "Calculate {0} - {1}.", "Subtract {1} from {0}.", "What is {0} minus {1}?",
        "How much is {0} - {1}?",
    ];

    /// <summary>A sum, in the first form at least so often; the easy ones have at most two digits, the hard ones at least one number of three.</summary>
    public static Problem Sum(Random random, bool hard, double plainShare)
    {
        (int a, int b) = Operands(random, hard);
        string key = string.Create(CultureInfo.InvariantCulture, $"add:{Math.Min(a, b)}:{Math.Max(a, b)}");
        return new(hard ? "add3" : "add2", key, Format(Form(random, Sums, plainShare), a, b), Text(a + b));
    }

    /// <summary>A difference, in the first form at least so often; the larger number comes first.</summary>
    public static Problem Difference(Random random, bool hard, double plainShare)
    {
        (int x, int y) = Operands(random, hard);
        int a = Math.Max(x, y);
        int b = Math.Min(x, y);
        string key = string.Create(CultureInfo.InvariantCulture, $"sub:{a}:{b}");
        return new(hard ? "sub3" : "sub2", key, Format(Form(random, Differences, plainShare), a, b), Text(a - b));
    }

    private static string Form(Random random, string[] forms, double plainShare) =>
        plainShare > 0 && random.NextDouble() < plainShare ? forms[0] : Pick.One(random, forms);

    private static (int A, int B) Operands(Random random, bool hard)
    {
        int large = hard ? 3 : 2;
        int a = Pick.Number(random, random.Next(hard ? 12 : 8) == 0 ? large - 1 : large);
        int b = Pick.Number(random, random.Next(hard ? 12 : 8) == 0 ? large - 1 : large);
        return hard && a < 100 && b < 100 ? (a + 100, b) : (a, b);
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Format(string form, int a, int b) => string.Format(CultureInfo.InvariantCulture, form, a, b);
}
