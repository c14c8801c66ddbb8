using System.Collections.Concurrent;

namespace ModelServe.Codec.Grammars;

/// <summary>A grammar ready to be followed over one vocabulary. Immutable but for its masks, which are made on first use; thread-safe.</summary>
/// <remarks>All rules' states stand in one numbering. A call enters its rule with the state to return to on a stack: a pushdown automaton over bytes.</remarks>
public sealed class CompiledGrammar
{
    private readonly ByteEdge[][] _edges;
    private readonly (int Start, int Return)[][] _calls;
    private readonly bool[] _accepting;
    private readonly bool[] _ends;
    private readonly (int Min, int Max)[] _counts;
    private readonly (Automaton Automaton, int State)?[] _shared;
    private readonly ConcurrentDictionary<int, Lazy<StateMask>> _masks = new();

    internal CompiledGrammar(
        ByteEdge[][] edges, (int Start, int Return)[][] calls, bool[] accepting, (int Min, int Max)[] counts,
        (Automaton Automaton, int State)?[] shared, int start, TokenTrie trie, GrammarLimits limits)
    {
        _edges = edges;
        _calls = calls;
        _accepting = accepting;
        _counts = counts;
        _shared = shared;
        _ends = [.. accepting.Select((end, i) => end && edges[i].Length == 0 && calls[i].Length == 0)];
        Start = start;
        Trie = trie;
        Limits = limits;
    }

    /// <summary>How many states, over all rules.</summary>
    public int StateCount => _accepting.Length;

    internal int Start { get; }

    /// <summary>Whether the text may also end wherever the end mark may follow.</summary>
    internal bool HasEndMark { get; init; }

    internal TokenTrie Trie { get; }

    internal GrammarLimits Limits { get; }

    /// <summary>A follower at the beginning of the text.</summary>
    public GrammarMatcher CreateMatcher() => new(this);

    /// <summary>Makes the masks of the states inside strings, of which every grammar of a vocabulary shares one, so that no step has to wait for them.</summary>
    /// <remarks>The first time for a vocabulary it costs some ten milliseconds, later nothing; call it off the engine's thread.</remarks>
    public void WarmUp()
    {
        for (int state = 0; state < _edges.Length; state++)
        {
            if (_shared[state] is not null)
            {
                _ = MaskOf(state);
            }
        }
    }

    internal ReadOnlySpan<ByteEdge> EdgesOf(int state) => _edges[state];

    internal ReadOnlySpan<(int Start, int Return)> CallsOf(int state) => _calls[state];

    internal bool IsAccepting(int state) => _accepting[state];

    /// <summary>Whether a match can only end there, so that nobody needs to return to it.</summary>
    internal bool IsEnd(int state) => _ends[state];

    internal (int Min, int Max) CountsOf(int state) => _counts[state];

    internal bool IsCounted(int state) => _counts[state].Max != int.MaxValue || _counts[state].Min != 0;

    internal StateMask MaskOf(int state) => _shared[state] is { } shared
        ? Trie.SharedMasks.GetOrAdd(shared, static (_, at) => new Lazy<StateMask>(() => StateMask.Build(at.Grammar, at.State)), (Grammar: this, State: state)).Value
        : _masks.GetOrAdd(state, static (s, grammar) => new Lazy<StateMask>(() => StateMask.Build(grammar, s)), this).Value;
}
