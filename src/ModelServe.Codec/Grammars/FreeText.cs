using System.Collections.Concurrent;

namespace ModelServe.Codec.Grammars;

/// <summary>Text of a model's own up to where something begins that is held to a grammar. Thread-safe; one per vocabulary, so that grammars share masks.</summary>
/// <remarks>
/// Free text is any bytes, and no control token but those that are named. As markers it knows a marker both as its control token and
/// spelled out: whoever reads the text cannot tell them apart.
/// </remarks>
internal sealed class FreeText(TokenTrie trie)
{
    private static readonly RuleNode AnyByte = new RuleNode.Bytes(byte.MinValue, byte.MaxValue, EdgeMark.None);
    private static readonly RuleNode White = RuleNode.Characters(CodePointSet.Of(('\t', '\n'), ('\r', '\r'), (' ', ' ')));
    private static readonly GrammarLimits Limits = new();

    private readonly ConcurrentDictionary<string, Automaton> _known = new(StringComparer.Ordinal);

    /// <summary>Two bytes that no token spells: a grammar with an end mark may end where they may follow.</summary>
    public static ReadOnlySpan<byte> EndMark => [TokenTrie.ControlMark, TokenTrie.ControlMark];

    /// <summary>A marker as the model writes it: what its vocabulary has as control tokens is one token each, the rest is text.</summary>
    public RuleNode Marker(string text)
    {
        var parts = new List<RuleNode>();
        int plain = 0;
        for (int at = 0; at < text.Length;)
        {
            string control = trie.Controls.Where(one => one.Length > 0 && string.CompareOrdinal(text, at, one, 0, one.Length) == 0).MaxBy(one => one.Length) ?? "";
            if (control.Length == 0)
            {
                at++;
                continue;
            }

            parts.Add(RuleNode.Text(text[plain..at]));
            parts.Add(Control(control));
            plain = at += control.Length;
        }

        parts.Add(RuleNode.Text(text[plain..]));
        return RuleNode.Then(parts);
    }

    /// <summary>Whether the vocabulary has a control token of that text.</summary>
    public bool HasControl(string text) => trie.Controls.Contains(text);

    /// <summary>Text that ends with the first of several openings, and with this one.</summary>
    /// <param name="opening">The one.</param>
    /// <param name="all">All of them; the text contains none of them before its end.</param>
    /// <param name="notBeginning">A marker with which the text, white space aside, does not begin; null for none.</param>
    public Automaton UpTo(TextOpening opening, IReadOnlyList<TextOpening> all, string? notBeginning = null) => _known.GetOrAdd(
        Key("up to", [opening, .. all], notBeginning),
        _ => Shared(Without(Compile(Ending(opening)), all, notBeginning)));

    /// <summary>Text without any of several openings, with the end mark behind it.</summary>
    public Automaton ToEnd(IReadOnlyList<TextOpening> all, string? notBeginning = null) => _known.GetOrAdd(
        Key("to end", all, notBeginning),
        _ => Shared(Without(Compile(RuleNode.Then(Anything(all), new RuleNode.Literal(EndMark.ToArray()))), all, notBeginning)));

    private static string Key(string kind, IEnumerable<TextOpening> openings, string? notBeginning) =>
        string.Join('\0', openings.Select(one => $"{one.Place}{one.Marker}\u0001{string.Join('\u0001', one.Controls)}").Prepend(notBeginning ?? "").Prepend(kind));

    private static RuleNode Control(string text) =>
        RuleNode.Then(new RuleNode.Literal([TokenTrie.ControlMark]), RuleNode.Text(text));

    private static Automaton Compile(RuleNode node) => Determinizer.Compile(node, Limits, "text");

    private static Automaton Shared(Automaton automaton) =>
        new(automaton.Edges, automaton.Calls, automaton.Accepting) { IsShared = true };

    private Automaton Without(Automaton text, IReadOnlyList<TextOpening> all, string? notBeginning)
    {
        RuleNode rest = new RuleNode.Repeat(AnyByte, 1, null);
        Automaton wanted = all.Count == 0 ? text : Except(text, RuleNode.Then(RuleNode.Either([.. all.Select(Ending)]), rest));
        return notBeginning is null ? wanted : Except(wanted, RuleNode.Then(
            new RuleNode.Repeat(White, 0, null), Spelled(notBeginning), new RuleNode.Repeat(AnyByte, 0, null)));
    }

    private static Automaton Except(Automaton text, RuleNode what) => Determinizer.Combine(text, Compile(what), except: true, Limits, "text");

    private RuleNode Ending(TextOpening opening)
    {
        RuleNode white = new RuleNode.Repeat(White, 0, null);
        RuleNode marker = Spelled(opening.Marker);
        return opening.Place switch
        {
            OpeningPlace.Anywhere => RuleNode.Then(Anything([opening]), marker),
            OpeningPlace.LineStart => RuleNode.Then(RuleNode.Maybe(RuleNode.Then(Anything([opening]), RuleNode.Text("\n"))), white, marker),
            _ => RuleNode.Then(white, marker),
        };
    }

    private RuleNode Spelled(string marker)
    {
        RuleNode plain = RuleNode.Text(marker);
        return trie.Controls.Any(control => control.Length > 0 && marker.Contains(control, StringComparison.Ordinal)) ? RuleNode.Either(plain, Marker(marker)) : plain;
    }

    private RuleNode.Repeat Anything(IReadOnlyList<TextOpening> openings)
    {
        RuleNode ordinary = new RuleNode.Bytes(byte.MinValue, TokenTrie.ControlMark - 1, EdgeMark.None);
        string[] controls = [.. openings.SelectMany(one => one.Controls).Distinct().Where(HasControl)];
        return new RuleNode.Repeat(RuleNode.Either([ordinary, .. controls.Select(Control)]), 0, null);
    }
}

/// <summary>Where in a text an opening counts.</summary>
internal enum OpeningPlace
{
    /// <summary>Wherever it stands.</summary>
    Anywhere,

    /// <summary>At the start of a line, white space before it allowed.</summary>
    LineStart,

    /// <summary>At the start of the text, white space before it allowed.</summary>
    TextStart,
}

/// <summary>What ends free text.</summary>
/// <param name="Marker">Its text.</param>
/// <param name="Place">Where it counts.</param>
/// <param name="Controls">Control tokens that the free text before it may have.</param>
internal sealed record TextOpening(string Marker, OpeningPlace Place = OpeningPlace.Anywhere, params IReadOnlyList<string> Controls);
