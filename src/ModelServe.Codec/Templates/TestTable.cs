using System.Collections.Frozen;
using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Whether a test holds for a value.</summary>
internal delegate bool TemplateTest(RenderState state, object? value, CallArguments arguments);

/// <summary>The tests by name: those of Jinja2.</summary>
internal static class TestTable
{
    private static readonly FrozenDictionary<string, TemplateTest> Tests = new Dictionary<string, TemplateTest>
    {
        ["boolean"] = Plain(value => value is bool),
        ["callable"] = Plain(value => value is TemplateFunction or TemplateMacro or LoopContext or Undefined),
        ["defined"] = Plain(value => value is not Undefined),
        ["divisibleby"] = (state, value, arguments) => Remainder(state, value, arguments.Bind("divisibleby", 1, "num")[0]) == 0,
        ["escaped"] = Plain(value => value is Markup),
        ["even"] = (state, value, _) => Remainder(state, value, Boxed.Of(2)) == 0,
        ["false"] = Plain(value => value is false),
        ["filter"] = Plain(value => PythonTypes.AsText(value) is string name && FilterTable.Find(name) is not null),
        ["float"] = Plain(value => value is double),
        ["in"] = (state, value, arguments) => PythonComparison.Contains(state, arguments.Bind("in", 1, "seq")[0], value),
        ["integer"] = Plain(value => value is long or BigInteger),
        ["iterable"] = (state, value, _) => PythonIteration.TryEnumerate(state, value, out IEnumerator<object?>? _),
        ["lower"] = (state, value, _) => IsCase(state, value, char.IsLower, char.IsUpper),
        ["mapping"] = Plain(value => value is TemplateDict),
        ["none"] = Plain(value => value is null),
        ["number"] = Plain(PythonNumbers.IsNumber),
        ["odd"] = (state, value, _) => Remainder(state, value, Boxed.Of(2)) == 1,
        ["sameas"] = (_, value, arguments) => IsSame(value, arguments.Bind("sameas", 1, "other")[0]),
        ["sequence"] = Plain(value => value is string or Markup or TemplateSequence or TemplateDict or TemplateRange or Undefined),
        ["string"] = Plain(value => value is string or Markup),
        ["test"] = Plain(value => PythonTypes.AsText(value) is string name && Find(name) is not null),
        ["true"] = Plain(value => value is true),
        ["undefined"] = Plain(value => value is Undefined),
        ["upper"] = (state, value, _) => IsCase(state, value, char.IsUpper, char.IsLower),
        ["eq"] = Comparison(ComparisonOperator.Equal),
        ["equalto"] = Comparison(ComparisonOperator.Equal),
        ["=="] = Comparison(ComparisonOperator.Equal),
        ["ne"] = Comparison(ComparisonOperator.NotEqual),
        ["!="] = Comparison(ComparisonOperator.NotEqual),
        ["lt"] = Comparison(ComparisonOperator.Less),
        ["lessthan"] = Comparison(ComparisonOperator.Less),
        ["<"] = Comparison(ComparisonOperator.Less),
        ["le"] = Comparison(ComparisonOperator.LessOrEqual),
        ["<="] = Comparison(ComparisonOperator.LessOrEqual),
        ["gt"] = Comparison(ComparisonOperator.Greater),
        ["greaterthan"] = Comparison(ComparisonOperator.Greater),
        [">"] = Comparison(ComparisonOperator.Greater),
        ["ge"] = Comparison(ComparisonOperator.GreaterOrEqual),
        [">="] = Comparison(ComparisonOperator.GreaterOrEqual),
    }.ToFrozenDictionary();

    /// <summary>The test; null when there is none of that name.</summary>
    public static TemplateTest? Find(string name) => Tests.GetValueOrDefault(name);

    private static TemplateTest Plain(Func<object?, bool> holds) => (_, value, arguments) =>
    {
        arguments.Bind("test", 0);
        return holds(value);
    };

    private static TemplateTest Comparison(ComparisonOperator op) =>
        (state, value, arguments) => PythonComparison.Holds(state, op, value, arguments.Bind("comparison", 1, "other")[0]);

    private static double Remainder(RenderState state, object? value, object? divisor) =>
        PythonArithmetic.Apply(state, ArithmeticOperator.Modulo, value, divisor) is object rest && PythonNumbers.IsNumber(rest)
            ? PythonNumbers.ToDouble(rest) : double.NaN;

    private static bool IsCase(RenderState state, object? value, Func<char, bool> wanted, Func<char, bool> other)
    {
        string text = PythonText.Str(state, value);
        return text.Any(wanted) && !text.Any(other);
    }

    private static bool IsSame(object? left, object? right) => (left, right) switch
    {
        (bool a, bool b) => a == b,
        (long a, long b) => a == b,
        (string a, string b) => a == b,
        _ => ReferenceEquals(left, right),
    };
}
