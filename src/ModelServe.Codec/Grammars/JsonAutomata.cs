namespace ModelServe.Codec.Grammars;

/// <summary>The automata that every JSON grammar needs, made once per process. Immutable.</summary>
internal static class JsonAutomata
{
    private const int MostSpace = 64;
    private static readonly GrammarLimits Limits = new();

    /// <summary>White space between parts: none to 64 characters, so that no model can go on with it for ever.</summary>
    public static Automaton Space { get; } = Compile(new RuleNode.Repeat(RuleNode.Characters(CodePointSet.Of(('\t', '\n'), ('\r', '\r'), (' ', ' '))), 0, MostSpace));

    /// <summary>Any string, in any spelling.</summary>
    public static Automaton AnyString { get; } = Compile(RuleNode.Then(
        RuleNode.Text("\""),
        new RuleNode.Repeat(RuleNode.Either(RuleNode.Characters(JsonSpelling.Plain), RuleNode.Then(RuleNode.Text("\\"), JsonSpelling.AnyEscape())), 0, null),
        RuleNode.Text("\"")));

    /// <summary>The content of any string in its one spelling, without quotes; every character counts.</summary>
    public static Automaton AnyText { get; } = Compile(new RuleNode.Repeat(JsonSpelling.Spelled(CodePointSet.All), 0, null));

    /// <summary>Any string in its one spelling, every character counting; the strings of bounded length.</summary>
    public static Automaton CountedString { get; } = Compile(JsonRules.Quoted(AnyText));

    /// <summary>Whether masks of this automaton's states are worth keeping for every grammar of a vocabulary.</summary>
    public static bool IsShared(Automaton automaton) => automaton == Space || automaton == AnyString || automaton == CountedString;

    private static Automaton Compile(RuleNode node) => Determinizer.Compile(node, Limits, "JSON");
}
