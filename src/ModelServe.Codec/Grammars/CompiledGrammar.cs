namespace ModelServe.Codec.Grammars;

/// <summary>A grammar ready to be followed over one vocabulary. Immutable but for what was met while texts were followed; thread-safe.</summary>
/// <remarks>
/// All rules' states stand in one numbering. A call enters its rule with the state to return to on a stack: a pushdown automaton over
/// bytes. Places that a text has come to are kept with their masks for every later text, up to a limit of memory; beyond it they are
/// forgotten together, but for the one where each text stands.
/// </remarks>
public sealed class CompiledGrammar
{
    private readonly ByteEdge[][] _edges;
    private readonly (int Start, int Return)[][] _calls;
    private readonly bool[] _accepting;
    private readonly bool[] _ends;
    private readonly (int Min, int Max)[] _counts;
    private readonly (Automaton Automaton, int State)?[] _shared;
    private Readings _readings;

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
        Classes = new ByteClasses(edges.SelectMany(of => of));
        _readings = new Readings(this, isBounded: true);
        // A text that cannot even begin must be refused here and not where others would be harmed.
        _readings.Enter(start, Readings.Outermost);
    }

    /// <summary>How many states, over all rules.</summary>
    public int StateCount => _accepting.Length;

    internal int Start { get; }

    /// <summary>Whether the text may also end wherever the end mark may follow.</summary>
    internal bool HasEndMark { get; init; }

    internal TokenTrie Trie { get; }

    internal GrammarLimits Limits { get; }

    internal ByteClasses Classes { get; }

    /// <summary>Memory that the places met so far take, roughly.</summary>
    public long BytesKept => Volatile.Read(ref _readings).Bytes;

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
                _ = MaskOf(state, _readings);
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

    // The states that every grammar has are this server's own, so that no stranger's limit of work applies to them.
    internal StateMask MaskOf(int state, Readings readings) => _shared[state] is { } shared
        ? Trie.SharedMasks.GetOrAdd(shared, static (_, at) => new Lazy<StateMask>(() => StateMask.Build(at.Grammar, at.State, int.MaxValue)), (Grammar: this, State: state)).Value
        : readings.MaskOf(state);

    /// <summary>The places met so far; fresh ones in place of those that have become too many.</summary>
    internal Readings LatestReadings()
    {
        Readings latest = Volatile.Read(ref _readings);
        if (latest.Bytes > Limits.BytesKept)
        {
            var fresh = new Readings(this, isBounded: true);
            Readings before = Interlocked.CompareExchange(ref _readings, fresh, latest);
            latest = before == latest ? fresh : before;
        }

        return latest;
    }

    /// <summary>Whether these are the places that others use and add to.</summary>
    internal bool IsLatest(Readings readings) => Volatile.Read(ref _readings) == readings;
}
