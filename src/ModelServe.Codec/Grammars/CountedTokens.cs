namespace ModelServe.Codec.Grammars;

/// <summary>Tokens by the characters that each adds to a bounded string, ready for any room that may be left. Immutable.</summary>
/// <remarks>For a few counts the tokens that add no more are kept as words; between two of them a short list is added.</remarks>
internal sealed class CountedTokens
{
    private readonly int[] _tokens;
    private readonly int[] _ends;
    private readonly (int Count, uint[] Words)[] _stages;

    private CountedTokens(int[] tokens, int[] ends, (int Count, uint[] Words)[] stages)
    {
        _tokens = tokens;
        _ends = ends;
        _stages = stages;
    }

    /// <summary>Memory that it takes.</summary>
    public int Bytes => ((_tokens.Length + _ends.Length) * sizeof(int)) + _stages.Sum(stage => stage.Words.Length * sizeof(uint));

    /// <summary>Keeps tokens with their counts.</summary>
    /// <param name="counted">Tokens and the characters that each adds; null for a rule that does not count.</param>
    /// <param name="words">Words of a mask.</param>
    public static CountedTokens? Of(List<(int Token, int Count)>? counted, int words)
    {
        if (counted is null || counted.Count == 0)
        {
            return null;
        }

        counted.Sort(static (a, b) => a.Count != b.Count ? a.Count.CompareTo(b.Count) : a.Token.CompareTo(b.Token));
        int[] tokens = [.. counted.Select(one => one.Token)];
        int[] ends = new int[counted[^1].Count + 1];
        foreach ((_, int count) in counted)
        {
            ends[count]++;
        }

        for (int count = 1; count < ends.Length; count++)
        {
            ends[count] += ends[count - 1];
        }

        // Few tokens are longer than a dozen characters; worth words of its own is a count that brings more tokens than words.
        var stages = new List<(int, uint[])>();
        uint[] so = new uint[words];
        int done = 0;
        for (int count = 0; count < ends.Length; count++)
        {
            if (ends[count] - done > words)
            {
                for (; done < ends[count]; done++)
                {
                    so[tokens[done] >> 5] |= 1u << (tokens[done] & 31);
                }

                stages.Add((count, [.. so]));
            }
        }

        return new CountedTokens(tokens, ends, [.. stages]);
    }

    /// <summary>Sets the bits of the tokens that add no more than <paramref name="room"/> characters.</summary>
    /// <returns>Words that were added as they stand; null when there were none.</returns>
    public uint[]? AddTo(Span<uint> mask, int room)
    {
        if (room < 0)
        {
            return null;
        }

        room = Math.Min(room, _ends.Length - 1);
        int from = 0;
        uint[]? added = null;
        for (int i = _stages.Length - 1; i >= 0 && added is null; i--)
        {
            if (_stages[i].Count <= room)
            {
                added = _stages[i].Words;
                from = _ends[_stages[i].Count];
                StateMask.Add(added, mask);
            }
        }

        foreach (int token in _tokens.AsSpan(from.._ends[room]))
        {
            mask[token >> 5] |= 1u << (token & 31);
        }

        return added;
    }
}
