using System.Numerics;

namespace ModelServe.Codec.Grammars;

/// <summary>Which tokens a state allows whatever comes after its rule, and where in the token tree the rule is left. Immutable.</summary>
/// <remarks>Found once per state by a walk over the whole tree; what depends on the rest of the stack is a small part of it.</remarks>
internal sealed class StateMask
{
    // After most states few tokens can come; a list of them is smaller than a bit for every token.
    private readonly uint[]? _dense;
    private readonly int[] _sparse;

    private StateMask(uint[] inside, (int Node, int Count)[] exits, (int Token, int Count)[] counted)
    {
        int size = inside.Sum(BitOperations.PopCount);
        _dense = size > inside.Length ? inside : null;
        _sparse = _dense is null ? [.. Enumerable.Range(0, inside.Length * 32).Where(id => (inside[id >> 5] >> (id & 31) & 1) != 0)] : [];
        Exits = exits;
        Counted = counted;
    }

    /// <summary>Nodes at which the rule may be over, with the characters it counted.</summary>
    public (int Node, int Count)[] Exits { get; }

    /// <summary>In a counted rule: the tokens after which it is still open, with the characters each adds.</summary>
    public (int Token, int Count)[] Counted { get; }

    /// <summary>Sets the bits of the tokens after which the rule is still open, whatever they count.</summary>
    public void AddInside(Span<uint> mask)
    {
        foreach (int token in _sparse)
        {
            mask[token >> 5] |= 1u << (token & 31);
        }

        for (int i = 0; _dense is not null && i < _dense.Length; i++)
        {
            mask[i] |= _dense[i];
        }
    }

    /// <summary>Walks the token tree from a state of which only the rule is known.</summary>
    public static StateMask Build(CompiledGrammar grammar, int state)
    {
        TokenTrie trie = grammar.Trie;
        var readings = new Readings(grammar, isBounded: false);
        bool counts = grammar.IsCounted(state);
        var inside = new uint[trie.MaskWords];
        var exits = new List<(int, int)>();
        var counted = new List<(int, int)>();
        Span<int> path = stackalloc int[byte.MaxValue + 1];
        path[0] = readings.Enter(state, Readings.Unknown);
        ReadOnlySpan<byte> labels = trie.Labels, depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.SubtreeEnds, tokens = trie.Tokens;
        for (int node = 0; node < labels.Length;)
        {
            int depth = depths[node];
            int next = readings.Next(path[depth - 1], labels[node]);
            if (next == Readings.Dead)
            {
                node = ends[node];
                continue;
            }

            path[depth] = next;
            ReadingSet set = readings[next];
            if (set.LeftAt >= 0)
            {
                exits.Add((node, set.LeftAt));
            }

            if (set.Members.Length > 0 && tokens[node] >= 0)
            {
                trie.Allow(node, inside);
                if (counts)
                {
                    for (int token = tokens[node]; token >= 0; token = trie.NextWithSameBytes(token))
                    {
                        counted.Add((token, set.Members.Max(reading => reading.Count)));
                    }
                }
            }

            node++;
        }

        return new StateMask(inside, [.. exits], [.. counted]);
    }
}
