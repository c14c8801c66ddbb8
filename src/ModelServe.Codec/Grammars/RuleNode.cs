using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>What a rule matches, as a tree over bytes and other rules. Immutable.</summary>
internal abstract record RuleNode
{
    /// <summary>Matches the empty text.</summary>
    public static RuleNode Empty { get; } = new Sequence([]);

    /// <summary>Matches nothing at all.</summary>
    public static RuleNode Never { get; } = new Choice([]);

    /// <summary>The UTF-8 bytes of a text.</summary>
    public static RuleNode Text(string text) => new Literal(Encoding.UTF8.GetBytes(text));

    /// <summary>One after the other.</summary>
    public static RuleNode Then(params IReadOnlyList<RuleNode> items) => new Sequence(items);

    /// <summary>Any one of them.</summary>
    public static RuleNode Either(params IReadOnlyList<RuleNode> options) => new Choice(options);

    /// <summary>Once or not at all.</summary>
    public static RuleNode Maybe(RuleNode item) => new Repeat(item, 0, 1);

    /// <summary>One scalar value of a set; the mark is on its first byte.</summary>
    public static RuleNode Characters(CodePointSet set, EdgeMark mark = EdgeMark.None) =>
        new Choice([.. Utf8Sequences.Of(set).Select(sequence => new Sequence(
            [.. sequence.Select((range, i) => new Bytes(range.Low, range.High, i == 0 ? mark : EdgeMark.None))]))]);

    /// <summary>Given bytes.</summary>
    internal sealed record Literal(byte[] Value, EdgeMark FirstMark = EdgeMark.None) : RuleNode;

    /// <summary>One byte in [Low, High].</summary>
    internal sealed record Bytes(byte Low, byte High, EdgeMark Mark) : RuleNode;

    /// <summary>Each in turn.</summary>
    internal sealed record Sequence(IReadOnlyList<RuleNode> Items) : RuleNode;

    /// <summary>Any one.</summary>
    internal sealed record Choice(IReadOnlyList<RuleNode> Options) : RuleNode;

    /// <summary>Min to Max times; without Max any number of times from Min on.</summary>
    internal sealed record Repeat(RuleNode Item, int Min, int? Max) : RuleNode;

    /// <summary>Any way along the moves from state 0 to one of the ends.</summary>
    internal sealed record Graph(int States, IReadOnlyList<(int From, RuleNode Item, int To)> Moves, IReadOnlyList<int> Ends) : RuleNode;

    /// <summary>What another rule matches.</summary>
    internal sealed record Call(int Rule) : RuleNode;

    /// <summary>What a finished automaton without calls matches; where characters are not counted, its marks are dropped.</summary>
    internal sealed record Embedded(Automaton Automaton, bool KeepsMarks) : RuleNode;
}
