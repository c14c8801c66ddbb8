namespace ModelServe.Codec.Grammars;

/// <summary>Follows one output through a grammar: says which tokens may come next, and takes the one that came.</summary>
/// <remarks>
/// A token is allowed when its bytes keep the text a prefix of something that the grammar matches. Masks of places met before
/// are kept, so the usual cost of one is a copy. Not thread-safe; one per sequence.
/// </remarks>
public sealed class GrammarMatcher
{
    // Sets of readings cost about a kilobyte each once bytes were asked of them.
    private const int MostSets = 8192;
    private const int MostMasks = 64;

    private readonly CompiledGrammar _grammar;
    private readonly Dictionary<int, uint[]> _masks = [];
    private Readings _readings;
    private int _current;

    internal GrammarMatcher(CompiledGrammar grammar)
    {
        _grammar = grammar;
        _readings = new Readings(grammar, isBounded: true);
        _current = _readings.Enter(grammar.Start, Readings.Outermost);
    }

    /// <summary>Whether the text so far is a whole match, so that it may end.</summary>
    public bool IsComplete => _readings[_current].IsComplete || (_grammar.HasEndMark && MayEnd());

    /// <summary>Whether nothing but the end may come.</summary>
    public bool MustEnd => _readings[_current].Members.Length == 0;

    /// <summary>Replaces a mask by the tokens that may come next: bit <c>id % 32</c> of word <c>id / 32</c>.</summary>
    /// <param name="mask">At least as many words as the vocabulary needs; words beyond them are cleared.</param>
    /// <returns>Whether any token may come.</returns>
    /// <remarks>Tokens without text, such as end-of-sequence, are never among them: whether the text may end is <see cref="IsComplete"/>.</remarks>
    /// <exception cref="InvalidGrammarException">The text can be read in too many ways.</exception>
    public bool FillMask(Span<uint> mask)
    {
        int words = _grammar.Trie.MaskWords;
        mask[words..].Clear();
        mask = mask[..words];
        if (!_masks.TryGetValue(_current, out uint[]? known))
        {
            if (_masks.Count == MostMasks || _readings.Count > MostSets)
            {
                Forget();
            }

            known = new uint[words];
            foreach (Reading reading in _readings[_current].Members)
            {
                AddTokensOf(reading, known);
            }

            _masks.Add(_current, known);
        }

        known.CopyTo(mask);
        return known.AsSpan().ContainsAnyExcept(0u);
    }

    /// <summary>Takes the next token.</summary>
    /// <returns>False, and nothing changes, when the grammar does not allow it here.</returns>
    /// <exception cref="InvalidGrammarException">The text can be read in too many ways.</exception>
    public bool TryAccept(int token)
    {
        ReadOnlySpan<byte> bytes = _grammar.Trie.BytesOf(token);
        return bytes.Length > 0 && TryAccept(bytes);
    }

    /// <summary>Takes the next bytes of the text.</summary>
    /// <returns>False, and nothing changes, when the grammar does not allow them here.</returns>
    /// <exception cref="InvalidGrammarException">The text can be read in too many ways.</exception>
    public bool TryAccept(ReadOnlySpan<byte> bytes)
    {
        int next = _current;
        foreach (byte value in bytes)
        {
            next = _readings.Next(next, value);
        }

        // A dead set stays dead over every byte.
        if (next == Readings.Dead)
        {
            return false;
        }

        _current = next;
        return true;
    }

    private void AddTokensOf(Reading reading, Span<uint> mask)
    {
        StateMask known = _grammar.MaskOf(reading.State);
        (int min, int max) = _grammar.CountsOf(reading.State);
        int room = max - reading.Count;
        if (room >= _grammar.Trie.LongestToken)
        {
            known.AddInside(mask);
        }
        else
        {
            foreach ((int token, int count) in known.Counted)
            {
                if (count <= room)
                {
                    mask[token >> 5] |= 1u << (token & 31);
                }
            }
        }

        int outside = -2;
        foreach ((int node, int count) in known.Exits)
        {
            if (count <= room && reading.Count + count >= min)
            {
                outside = outside == -2 ? Outside(reading.Stack) : outside;
                AddTokensBelow(node, outside, mask);
            }
        }
    }

    private int Outside(int stack) => stack == Readings.Outermost ? Readings.Dead : _readings.Return(stack);

    // The rule is over at the node: its own token is allowed, and those below it as far as what comes after the rule goes on.
    private void AddTokensBelow(int exit, int outside, Span<uint> mask)
    {
        TokenTrie trie = _grammar.Trie;
        trie.Allow(exit, mask);
        if (outside == Readings.Dead)
        {
            return;
        }

        ReadOnlySpan<byte> labels = trie.Labels, depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.SubtreeEnds, tokens = trie.Tokens;
        Span<int> path = stackalloc int[byte.MaxValue + 1];
        int first = depths[exit];
        path[0] = outside;
        for (int node = exit + 1; node < ends[exit];)
        {
            int depth = depths[node] - first;
            int next = _readings.Next(path[depth - 1], labels[node]);
            if (next == Readings.Dead)
            {
                node = ends[node];
                continue;
            }

            path[depth] = next;
            if (tokens[node] >= 0)
            {
                trie.Allow(node, mask);
            }

            node++;
        }
    }

    // Seen once, a move is a table look-up, and the two bytes of the mark are no token's.
    private bool MayEnd()
    {
        int next = _current;
        foreach (byte value in FreeText.EndMark)
        {
            next = _readings.Next(next, value);
        }

        return next != Readings.Dead;
    }

    private void Forget()
    {
        var fresh = new Readings(_grammar, isBounded: true);
        _current = fresh.Import(_readings, _current);
        _readings = fresh;
        _masks.Clear();
    }
}
