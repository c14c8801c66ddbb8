namespace ModelServe.Codec.Grammars;

/// <summary>What passing an edge does to the character count of a length-bounded string.</summary>
internal enum EdgeMark : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A character begins: the count grows and must not pass the maximum. It is the first byte that counts, so that none is begun that may not be finished.</summary>
    Counts,

    /// <summary>The string ends: the count must have reached the minimum.</summary>
    Closes,
}

/// <summary>A move over one byte in [Low, High].</summary>
internal readonly record struct ByteEdge(byte Low, byte High, EdgeMark Mark, int Target);

/// <summary>A move over whatever another rule matches.</summary>
internal readonly record struct CallEdge(int Rule, int Target);

/// <summary>One rule's language: deterministic over bytes; calls of other rules are moves beside them. State 0 is the start. Immutable.</summary>
/// <remarks>Every state can reach an accepting one, counting every called rule as passable; an automaton without states matches nothing.</remarks>
internal sealed class Automaton
{
    /// <summary>Takes what was built.</summary>
    /// <param name="edges">Per state, ascending and disjoint.</param>
    /// <param name="calls">Per state, each pair once.</param>
    /// <param name="accepting">Whether a match may end in the state.</param>
    public Automaton(ByteEdge[][] edges, CallEdge[][] calls, bool[] accepting)
    {
        Edges = edges;
        Calls = calls;
        Accepting = accepting;
    }

    /// <summary>Moves over bytes, per state.</summary>
    public ByteEdge[][] Edges { get; }

    /// <summary>Moves over other rules, per state.</summary>
    public CallEdge[][] Calls { get; }

    /// <summary>Whether a match may end there, per state.</summary>
    public bool[] Accepting { get; }

    /// <summary>Whether masks of its states are worth keeping for every grammar of a vocabulary: it is made once, and many grammars have it.</summary>
    public bool IsShared { get; init; }

    /// <summary>How many states.</summary>
    public int Count => Accepting.Length;

    /// <summary>Whether nothing matches.</summary>
    public bool IsEmpty => Count == 0;

    /// <summary>Whether the bytes match. Only for automata without calls.</summary>
    public bool Matches(ReadOnlySpan<byte> bytes)
    {
        int state = IsEmpty ? -1 : 0;
        for (int i = 0; i < bytes.Length && state >= 0; i++)
        {
            state = Next(state, bytes[i]);
        }

        return state >= 0 && Accepting[state];
    }

    private int Next(int state, byte value)
    {
        foreach (ByteEdge edge in Edges[state])
        {
            if (edge.Low <= value && value <= edge.High)
            {
                return edge.Target;
            }
        }

        return -1;
    }
}
