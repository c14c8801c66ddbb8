using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>The parts of JSON text (RFC 8259) as rules of one grammar, each made once. Not thread-safe.</summary>
/// <remarks>
/// White space is allowed where people put it: after an opening bracket, a comma or a colon and before a closing bracket. A string that is bounded or must match a pattern has one
/// spelling for each text, so that what is forbidden cannot be spelled another way.
/// </remarks>
internal sealed class JsonRules
{
    private readonly GrammarBuilder _builder;
    private int? _space;
    private int? _string;
    private int? _value;

    /// <summary>Rules for one grammar.</summary>
    public JsonRules(GrammarBuilder builder, JsonDialect? dialect = null)
    {
        _builder = builder;
        Dialect = dialect ?? JsonDialect.Plain;
    }

    /// <summary>How values are written.</summary>
    public JsonDialect Dialect { get; }

    /// <summary>White space between parts.</summary>
    public RuleNode Space => new RuleNode.Call(_space ??= _builder.Add("white space", JsonAutomata.Space));

    /// <summary>Any string, in any spelling.</summary>
    public RuleNode String => new RuleNode.Call(_string ??= _builder.Add("string", Dialect.AnyString));

    /// <summary>Any value.</summary>
    public RuleNode Value
    {
        get
        {
            if (_value is null)
            {
                int rule = _builder.Declare("value");
                _value = rule;
                _builder.Define(rule, RuleNode.Either(
                    String, Number, Boolean, Null, Object, Array(new RuleNode.Call(rule))));
            }

            return new RuleNode.Call(_value.Value);
        }
    }

    /// <summary>true or false.</summary>
    public RuleNode Boolean => RuleNode.Either(RuleNode.Text(Dialect.True), RuleNode.Text(Dialect.False));

    /// <summary>null.</summary>
    public RuleNode Null => RuleNode.Text(Dialect.Null);

    /// <summary>Any object.</summary>
    public RuleNode Object => RuleNode.Then(RuleNode.Text("{"), Space, Separated(Pair(String, Value)), RuleNode.Text("}"));

    /// <summary>Any number.</summary>
    public static RuleNode Number { get; } = RuleNode.Then(
        Integer(), RuleNode.Maybe(RuleNode.Then(RuleNode.Text("."), SomeDigits())), RuleNode.Maybe(Exponent()));

    /// <summary>A number without fraction and exponent.</summary>
    public static RuleNode Integer() => RuleNode.Then(
        RuleNode.Maybe(RuleNode.Text("-")),
        RuleNode.Either(RuleNode.Text("0"), RuleNode.Then(RuleNode.Characters(CodePointSet.Of(('1', '9'))), AnyDigits())));

    /// <summary>No digits or more.</summary>
    public static RuleNode AnyDigits() => new RuleNode.Repeat(Digit, 0, null);

    /// <summary>Any array of items.</summary>
    public RuleNode Array(RuleNode item) => RuleNode.Then(RuleNode.Text("["), Space, Separated(item), RuleNode.Text("]"));

    /// <summary>A key, its colon and its value.</summary>
    public RuleNode Pair(RuleNode key, RuleNode value) => RuleNode.Then(key, RuleNode.Text(":"), Space, value);

    /// <summary>A string of that content automaton.</summary>
    public static RuleNode Quoted(Automaton content) => RuleNode.Then(
        RuleNode.Text("\""), new RuleNode.Embedded(content, KeepsMarks: true), new RuleNode.Literal("\""u8.ToArray(), EdgeMark.Closes));

    /// <summary>A given value, with white space where any value may have it.</summary>
    public RuleNode Constant(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Text(value.GetString()!),
        JsonValueKind.Null => Null,
        JsonValueKind.True => RuleNode.Text(Dialect.True),
        JsonValueKind.False => RuleNode.Text(Dialect.False),
        JsonValueKind.Object => RuleNode.Then(
            [RuleNode.Text("{"), Space, .. Joined(value.EnumerateObject().Select(p => Pair(Text(p.Name), Constant(p.Value)))), RuleNode.Text("}")]),
        JsonValueKind.Array => RuleNode.Then([RuleNode.Text("["), Space, .. Joined(value.EnumerateArray().Select(Constant)), RuleNode.Text("]")]),
        _ => RuleNode.Text(value.GetRawText()),
    };

    /// <summary>A given string.</summary>
    public RuleNode Text(string text) => RuleNode.Text("\"" + JsonSpelling.Spell(Dialect.Checked(text, "")) + "\"");

    private static RuleNode Digit => RuleNode.Characters(CodePointSet.Of(('0', '9')));

    private static RuleNode.Repeat SomeDigits() => new RuleNode.Repeat(Digit, 1, null);

    private static RuleNode Exponent() => RuleNode.Then(
        RuleNode.Characters(CodePointSet.Of(('E', 'E'), ('e', 'e'))), RuleNode.Maybe(RuleNode.Characters(CodePointSet.Of(('+', '+'), ('-', '-')))), SomeDigits());

    private RuleNode Separated(RuleNode item) => RuleNode.Maybe(RuleNode.Then(
        item, new RuleNode.Repeat(RuleNode.Then(RuleNode.Text(","), Space, item), 0, null), Space));

    private IEnumerable<RuleNode> Joined(IEnumerable<RuleNode> items)
    {
        bool isFirst = true;
        foreach (RuleNode item in items)
        {
            yield return isFirst ? item : RuleNode.Then(RuleNode.Text(","), Space, item);
            isFirst = false;
        }

        if (!isFirst)
        {
            yield return Space;
        }
    }
}
