using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>String values that stand in markup as they are, without quotes and escapes. Pure.</summary>
/// <param name="limits">Bounds.</param>
/// <param name="end">The marker that ends a value; no text contains it.</param>
/// <param name="types">What the reader takes a text for if it looks like it; such texts are left out.</param>
internal sealed class RawText(GrammarLimits limits, string end, JsonTypes types)
{
    private static readonly CodePointSet White = CodePointSet.Of(
        (0, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));

    private static readonly RuleNode All = new RuleNode.Repeat(RuleNode.Characters(CodePointSet.All), 0, null);

    /// <summary>The texts that a shape admits.</summary>
    /// <exception cref="InvalidGrammarException">A pattern is not regular, or the whole is too large.</exception>
    public Automaton Of(SchemaShape shape)
    {
        Automaton text = Compile(shape.Constants is { } constants
            ? RuleNode.Either([.. constants.Where(one => one.ValueKind == System.Text.Json.JsonValueKind.String).Select(one => RuleNode.Text(one.GetString()!))])
            : All);
        foreach ((string pattern, string place) in shape.Patterns)
        {
            text = Both(text, Compile(RegexParser.Parse(pattern, isSearch: true, set => RuleNode.Characters(set), limits, place)));
        }

        if (shape.ForbiddenTexts.Count > 0)
        {
            text = Except(text, RuleNode.Either([.. shape.ForbiddenTexts.Select(RuleNode.Text)]));
        }

        if (shape.MinLength > 0 || shape.MaxLength is not null)
        {
            text = Both(text, Compile(shape.MaxLength is { } max && max < shape.MinLength
                ? RuleNode.Never
                : new RuleNode.Repeat(RuleNode.Characters(CodePointSet.All), shape.MinLength, shape.MaxLength)));
        }

        return AsText(Except(text, RuleNode.Then(All, RuleNode.Text(end), All)));
    }

    private static RuleNode AnyCase(string word) => RuleNode.Then([.. word.Select(letter =>
        RuleNode.Characters(CodePointSet.Of((char.ToUpperInvariant(letter), char.ToUpperInvariant(letter)), (letter, letter))))]);

    // Only what the reader takes for text: where a parameter may be something else too, "null" alone would be null.
    private Automaton AsText(Automaton text)
    {
        if (types == JsonTypes.Text)
        {
            return text;
        }

        RuleNode white = RuleNode.Characters(White);
        var others = new List<RuleNode> { RuleNode.Then(white, All), RuleNode.Then(All, white) };
        if (types.HasFlag(JsonTypes.Null))
        {
            others.AddRange([RuleNode.Text("null"), RuleNode.Text("None")]);
        }

        if (types.HasFlag(JsonTypes.Boolean))
        {
            others.AddRange([AnyCase("true"), AnyCase("false")]);
        }

        CodePointSet number = CodePointSet.Of(('-', '-'), ('0', '9'));
        foreach ((JsonTypes type, CodePointSet first) in (ReadOnlySpan<(JsonTypes, CodePointSet)>)[
            (JsonTypes.Number, number), (JsonTypes.Array, CodePointSet.Of('[')), (JsonTypes.Object, CodePointSet.Of('{'))])
        {
            if (types.HasFlag(type))
            {
                others.Add(RuleNode.Then(RuleNode.Characters(first), All));
            }
        }

        return Except(text, RuleNode.Either(others));
    }

    private Automaton Compile(RuleNode node) => Determinizer.Compile(node, limits, "text");

    private Automaton Both(Automaton first, Automaton second) => Determinizer.Combine(first, second, except: false, limits, "text");

    private Automaton Except(Automaton text, RuleNode what) => Determinizer.Combine(text, Compile(what), except: true, limits, "text");
}
