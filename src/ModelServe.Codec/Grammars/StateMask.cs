using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace ModelServe.Codec.Grammars;

/// <summary>Which tokens a state allows whatever comes after its rule, and where in the token tree the rule is left. Immutable.</summary>
/// <remarks>Found once per state by a walk over the whole tree; what depends on the rest of the stack is a small part of it.</remarks>
internal sealed class StateMask
{
    // After most states few tokens can come; a list of them is smaller than a bit for every token.
    private readonly uint[]? _dense;
    private readonly int[] _sparse;
    private readonly CountedTokens? _counted;

    private StateMask(ReadOnlySpan<uint> inside, (int Node, int Count)[] exits, CountedTokens? counted)
    {
        int size = 0;
        foreach (uint word in inside)
        {
            size += BitOperations.PopCount(word);
        }

        _dense = size > inside.Length ? inside.ToArray() : null;
        _sparse = _dense is null ? AllowedTokens.List(inside, null, size) : [];
        _counted = counted;
        Exits = exits;
    }

    /// <summary>Nodes at which the rule may be over, with the characters it counted.</summary>
    public (int Node, int Count)[] Exits { get; }

    /// <summary>Memory that it takes.</summary>
    public int Bytes => 100 + ((_dense?.Length ?? _sparse.Length) * sizeof(uint)) + (Exits.Length * 2 * sizeof(int)) + (_counted?.Bytes ?? 0);

    /// <summary>Sets the bits of the tokens after which the rule is still open and has counted no more than <paramref name="room"/> characters.</summary>
    /// <returns>Words that were added as they stand and stay as they are, for whoever keeps the mask; null when there were none.</returns>
    public uint[]? AddInside(Span<uint> mask, int room, int longestToken)
    {
        if (_counted is not null && room < longestToken)
        {
            return _counted.AddTo(mask, room);
        }

        foreach (int token in _sparse)
        {
            mask[token >> 5] |= 1u << (token & 31);
        }

        if (_dense is not null)
        {
            Add(_dense, mask);
        }

        return _dense;
    }

    /// <summary>Walks the token tree from a state of which only the rule is known.</summary>
    /// <param name="grammar">Whose state.</param>
    /// <param name="state">The state.</param>
    /// <param name="workLimit">Most work, as <see cref="MaskWork"/> counts it.</param>
    /// <exception cref="InvalidGrammarException">That takes more than the limit of work.</exception>
    public static StateMask Build(CompiledGrammar grammar, int state, int workLimit)
    {
        TokenTrie trie = grammar.Trie;
        uint[] rented = ArrayPool<uint>.Shared.Rent(trie.MaskWords);
        try
        {
            Span<uint> inside = rented.AsSpan(0, trie.MaskWords);
            inside.Clear();
            var exits = new List<(int, int)>();
            List<(int Token, int Count)>? counted = grammar.IsCounted(state) ? [] : null;
            Walk(grammar, state, new MaskWork(workLimit), inside, exits, counted);
            return new StateMask(inside, [.. exits], CountedTokens.Of(counted, trie.MaskWords));
        }
        finally
        {
            ArrayPool<uint>.Shared.Return(rented);
        }
    }

    private static void Walk(
        CompiledGrammar grammar, int state, MaskWork work, Span<uint> inside, List<(int Node, int Count)> exits, List<(int Token, int Count)>? counted)
    {
        TokenTrie trie = grammar.Trie;
        var readings = new Readings(grammar, isBounded: false);
        var path = new ReadingSet[byte.MaxValue + 1];
        path[0] = readings.Enter(state, Readings.Unknown);
        ReadOnlySpan<byte> labels = trie.Labels, depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.SubtreeEnds, tokens = trie.Tokens;
        for (int node = 0; node < labels.Length;)
        {
            int depth = depths[node];
            work.Spend(path[depth - 1].Members.Length);
            ReadingSet set = readings.Next(path[depth - 1], labels[node]);
            if (set.IsDead)
            {
                node = ends[node];
                continue;
            }

            path[depth] = set;
            if (set.LeftAt >= 0)
            {
                exits.Add((node, set.LeftAt));
            }

            if (set.Members.Length > 0 && tokens[node] >= 0)
            {
                trie.Allow(node, inside);
                if (counted is not null)
                {
                    Count(trie, node, set, counted);
                }
            }

            node++;
        }
    }

    private static void Count(TokenTrie trie, int node, ReadingSet set, List<(int Token, int Count)> counted)
    {
        int most = 0;
        foreach (Reading reading in set.Members)
        {
            most = Math.Max(most, reading.Count);
        }

        for (int token = trie.Tokens[node]; token >= 0; token = trie.NextWithSameBytes(token))
        {
            counted.Add((token, most));
        }
    }

    /// <summary>Sets bits.</summary>
    public static void Add(ReadOnlySpan<uint> bits, Span<uint> mask)
    {
        ReadOnlySpan<Vector<uint>> wide = MemoryMarshal.Cast<uint, Vector<uint>>(bits);
        Span<Vector<uint>> target = MemoryMarshal.Cast<uint, Vector<uint>>(mask);
        for (int i = 0; i < wide.Length; i++)
        {
            target[i] |= wide[i];
        }

        for (int i = wide.Length * Vector<uint>.Count; i < bits.Length; i++)
        {
            mask[i] |= bits[i];
        }
    }
}
