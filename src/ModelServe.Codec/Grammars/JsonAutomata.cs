namespace ModelServe.Codec.Grammars;

/// <summary>The automata that every JSON grammar needs, made once per process. Immutable.</summary>
internal static class JsonAutomata
{
    private const int MostSpace = 64;
    private static readonly GrammarLimits Limits = new();

    /// <summary>White space between parts: none to 64 characters, so that no model can go on with it for ever.</summary>
    public static Automaton Space { get; } = Compile(new RuleNode.Repeat(RuleNode.Characters(CodePointSet.Of(('\t', '\n'), ('\r', '\r'), (' ', ' '))), 0, MostSpace));

    /// <summary>Any string, in any spelling, of characters that may stand for themselves.</summary>
    public static Automaton AnyString(CodePointSet plain) => Compile(RuleNode.Then(
        RuleNode.Text("\""),
        new RuleNode.Repeat(RuleNode.Either(RuleNode.Characters(plain), RuleNode.Then(RuleNode.Text("\\"), JsonSpelling.AnyEscape())), 0, null),
        RuleNode.Text("\"")));

    /// <summary>The content of any string of a set in its one spelling, without quotes; every character counts.</summary>
    public static Automaton AnyText(CodePointSet set) => Compile(new RuleNode.Repeat(JsonSpelling.Spelled(set), 0, null));

    /// <summary>Any string of that content, every character counting; the strings of bounded length.</summary>
    public static Automaton CountedString(Automaton content) => Compile(JsonRules.Quoted(content));

    /// <summary>Any string of that content, without counting: what is not bounded needs no count, and a count would tell texts apart for nothing.</summary>
    public static Automaton UncountedString(Automaton content) =>
        Compile(RuleNode.Then(RuleNode.Text("\""), new RuleNode.Embedded(content, KeepsMarks: false), RuleNode.Text("\"")));

    private static Automaton Compile(RuleNode node)
    {
        Automaton automaton = Determinizer.Compile(node, Limits, "JSON");
        return new Automaton(automaton.Edges, automaton.Calls, automaton.Accepting) { IsShared = true };
    }
}
