using System.Buffers;

namespace ModelServe.Codec.Grammars;

/// <summary>Follows one output through a grammar: says which tokens may come next, and takes the one that came.</summary>
/// <remarks>
/// A token is allowed when its bytes keep the text a prefix of something that the grammar matches. Places that any text of the grammar
/// has met are kept with it, so the usual cost of a token and its mask is a look-up and a copy, and nothing is allocated.
/// Not thread-safe; one per sequence. Several may follow one grammar at the same time.
/// </remarks>
public sealed class GrammarMatcher
{
    private readonly CompiledGrammar _grammar;
    private ReadingSet?[] _path = [];
    private Readings _readings;
    private ReadingSet _current;

    internal GrammarMatcher(CompiledGrammar grammar)
    {
        _grammar = grammar;
        _readings = grammar.LatestReadings();
        _current = _readings.Enter(grammar.Start, Readings.Outermost);
    }

    /// <summary>Whether the text so far is a whole match, so that it may end.</summary>
    public bool IsComplete => _current.IsComplete || (_grammar.HasEndMark && MayEnd());

    /// <summary>Whether nothing but the end may come.</summary>
    public bool MustEnd => _current.Members.Length == 0;

    /// <summary>Whether the next mask is known, so that <see cref="FillMask"/> only copies it.</summary>
    public bool IsPrepared => _current.Allowed is not null;

    /// <summary>Finds the next mask, so that <see cref="FillMask"/> only copies it. Bounded work of up to some milliseconds where it was not met before.</summary>
    /// <exception cref="InvalidGrammarException">The text can be read in too many ways, or the mask takes too much work.</exception>
    public void Prepare()
    {
        if (_current.Allowed is null)
        {
            Refresh();
            if (_current.Allowed is null)
            {
                // The moves over the end mark first: whoever finds the mask kept finds them kept too.
                _ = IsComplete;
                _readings.Keep(_current, Find());
            }
        }
    }

    /// <summary>Replaces a mask by the tokens that may come next: bit <c>id % 32</c> of word <c>id / 32</c>.</summary>
    /// <param name="mask">At least as many words as the vocabulary needs; words beyond them are cleared.</param>
    /// <returns>Whether any token may come.</returns>
    /// <remarks>Tokens without text, such as end-of-sequence, are never among them: whether the text may end is <see cref="IsComplete"/>.</remarks>
    /// <exception cref="InvalidGrammarException">The text can be read in too many ways, or the mask takes too much work.</exception>
    public bool FillMask(Span<uint> mask)
    {
        Prepare();
        AllowedTokens allowed = _current.Allowed!;
        int words = _grammar.Trie.MaskWords;
        mask[words..].Clear();
        allowed.CopyTo(mask[..words]);
        return allowed.Any;
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
        Refresh();
        ReadingSet next = _current;
        foreach (byte value in bytes)
        {
            next = _readings.Next(next, value);
        }

        // A dead set stays dead over every byte.
        if (next.IsDead)
        {
            return false;
        }

        _current = next;
        return true;
    }

    /// <summary>Takes the next token if it leads, by look-ups alone, to a place whose mask is known. Never waits and never throws.</summary>
    /// <returns>False, and nothing changes, where <see cref="TryAccept(int)"/> and <see cref="Prepare"/> have to look closer.</returns>
    public bool TryAcceptPrepared(int token)
    {
        ReadOnlySpan<byte> bytes = _grammar.Trie.BytesOf(token);
        if (bytes.Length == 0 || !_grammar.IsLatest(_readings))
        {
            return false;
        }

        ReadingSet next = _current;
        foreach (byte value in bytes)
        {
            if (_readings.Known(next, value) is not { } known)
            {
                return false;
            }

            next = known;
        }

        if (next.IsDead || next.Allowed is null)
        {
            return false;
        }

        _current = next;
        return true;
    }

    // Old places must not be held by those who still stand there.
    private void Refresh()
    {
        Readings latest = _grammar.LatestReadings();
        if (latest != _readings)
        {
            _current = latest.Import(_readings, _current);
            _readings = latest;
        }
    }

    private AllowedTokens Find()
    {
        int words = _grammar.Trie.MaskWords;
        uint[] rented = ArrayPool<uint>.Shared.Rent(words);
        try
        {
            Span<uint> mask = rented.AsSpan(0, words);
            mask.Clear();
            var work = new MaskWork(_grammar.Limits.MaskWork);
            uint[]? shared = null;
            foreach (Reading reading in _current.Members)
            {
                shared = AddTokensOf(reading, mask, ref work) ?? shared;
            }

            return AllowedTokens.Of(mask, shared);
        }
        finally
        {
            // Sets lead to all others of their table, which may be replaced.
            Array.Clear(_path);
            ArrayPool<uint>.Shared.Return(rented);
        }
    }

    private uint[]? AddTokensOf(Reading reading, Span<uint> mask, ref MaskWork work)
    {
        StateMask known = _grammar.MaskOf(reading.State, _readings);
        (int min, int max) = _grammar.CountsOf(reading.State);
        int room = max - reading.Count;
        uint[]? shared = known.AddInside(mask, room, _grammar.Trie.LongestToken);
        ReadingSet? outside = null;
        work.Spend(0);
        foreach ((int node, int count) in known.Exits)
        {
            if (count <= room && reading.Count + count >= min)
            {
                _grammar.Trie.Allow(node, mask);
                if (reading.Stack != Readings.Outermost)
                {
                    outside ??= _readings.Return(reading.Stack);
                    AddTokensBelow(node, outside, mask, ref work);
                }
            }
        }

        return shared;
    }

    // The rule is over at the node: tokens below it are allowed as far as what comes after the rule goes on.
    private void AddTokensBelow(int exit, ReadingSet outside, Span<uint> mask, ref MaskWork work)
    {
        TokenTrie trie = _grammar.Trie;
        ReadOnlySpan<byte> labels = trie.Labels, depths = trie.Depths;
        ReadOnlySpan<int> ends = trie.SubtreeEnds, tokens = trie.Tokens;
        if (_path.Length == 0)
        {
            _path = new ReadingSet?[byte.MaxValue + 1];
        }

        int first = depths[exit];
        _path[0] = outside;
        for (int node = exit + 1; node < ends[exit];)
        {
            int depth = depths[node] - first;
            ReadingSet before = _path[depth - 1]!;
            work.Spend(before.Members.Length);
            ReadingSet next = _readings.Next(before, labels[node]);
            if (next.IsDead)
            {
                node = ends[node];
                continue;
            }

            _path[depth] = next;
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
        ReadingSet next = _current;
        foreach (byte value in FreeText.EndMark)
        {
            next = _readings.Next(next, value);
        }

        return !next.IsDead;
    }
}
