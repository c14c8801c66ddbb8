using System.Buffers;
using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Lattice;

/// <summary>
/// A Unigram model: the segmentation of greatest probability (Viterbi over the UTF-8 bytes; the first found wins a tie). A run of
/// unknown characters becomes its bytes where the model has byte tokens, else one unknown token. Time is linear in the text for a
/// given vocabulary. Immutable but for its cache; thread-safe.
/// </summary>
internal sealed class UnigramModel : ITokenModel
{
    private const int CacheSlots = 1 << 15;

    private readonly UnigramScores _scores;
    private readonly ByteTrie _trie = new();
    private readonly WordCache _cache = new(CacheSlots);

    /// <summary>A model over a vocabulary and its scores.</summary>
    public UnigramModel(BpeVocabulary vocabulary, UnigramScores scores, BpeOptions options)
    {
        Vocabulary = vocabulary;
        _scores = scores;
        Options = options;
        foreach ((string text, int id) in vocabulary.Ids)
        {
            if (scores.Segments[id] && text.Length > 0)
            {
                _trie.Add(Encoding.UTF8.GetBytes(text), id);
            }
        }
    }

    /// <inheritdoc/>
    public BpeVocabulary Vocabulary { get; }

    /// <inheritdoc/>
    public BpeOptions Options { get; }

    /// <inheritdoc/>
    public string ContinuationPrefix => "";

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> piece, IdBuffer output)
    {
        if (piece.Length > WordCache.LongestWord)
        {
            EncodeUncached(piece, output);
            return;
        }
        uint hash = WordCache.Hash(piece);
        if (_cache.TryGet(piece, hash, out ReadOnlySpan<int> known))
        {
            output.Add(known);
            return;
        }
        int start = output.Count;
        EncodeUncached(piece, output);
        _cache.Put(piece, hash, output.From(start));
    }

    private void EncodeUncached(ReadOnlySpan<char> piece, IdBuffer output)
    {
        int most = (piece.Length * 3) + 1;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(most);
        double[] best = ArrayPool<double>.Shared.Rent(most);
        int[] from = ArrayPool<int>.Shared.Rent(most);
        int[] ids = ArrayPool<int>.Shared.Rent(most);
        int length = Encoding.UTF8.GetBytes(piece, bytes);
        Search(bytes.AsSpan(0, length), best, from, ids);
        Collect(bytes.AsSpan(0, length), from, ids, output);
        ArrayPool<byte>.Shared.Return(bytes);
        ArrayPool<double>.Shared.Return(best);
        ArrayPool<int>.Shared.Return(from);
        ArrayPool<int>.Shared.Return(ids);
    }

    /// <summary>Fills, for each byte position, the best way there: its score, where its last token begins, and that token.</summary>
    private void Search(ReadOnlySpan<byte> bytes, double[] best, int[] from, int[] ids)
    {
        Array.Fill(from, -1, 0, bytes.Length + 1);
        best[0] = 0;
        int start = 0;
        while (start < bytes.Length)
        {
            int width = Width(bytes[start]);
            bool single = false;
            int node = ByteTrie.Root;
            for (int end = start + 1; end <= bytes.Length; end++)
            {
                node = _trie.Next(node, bytes[end - 1]);
                if (node < 0)
                {
                    break;
                }
                int id = _trie.IdAt(node);
                if (id < 0 || Vocabulary.IsControl(id))
                {
                    continue;
                }
                single |= end - start == width;
                Offer(start, end, id, _scores.ById[id], best, from, ids);
            }
            if (!single)
            {
                Offer(start, start + width, Options.UnknownId, _scores.Unknown, best, from, ids);
            }
            start += width;
        }
    }

    private void Offer(int start, int end, int id, double score, double[] best, int[] from, int[] ids)
    {
        // The SentencePiece library keeps 32 bits but compares the sum of a token before it is rounded.
        double total = score + best[start];
        double kept = _scores.SinglePrecision ? (float)total : total;
        if (from[end] < 0 || (id == Options.UnknownId ? kept : total) > best[end])
        {
            best[end] = kept;
            from[end] = start;
            ids[end] = id;
        }
    }

    /// <summary>Walks the best way back, then forward, putting runs of unknown characters together.</summary>
    private void Collect(ReadOnlySpan<byte> bytes, int[] from, int[] ids, IdBuffer output)
    {
        // Turns the links round: from[start] becomes the end of the token that begins there.
        int end = bytes.Length;
        int next = -1;
        int nextId = -1;
        while (true)
        {
            int start = from[end];
            int id = ids[end];
            from[end] = next;
            ids[end] = nextId;
            if (end == 0)
            {
                break;
            }
            next = end;
            nextId = id;
            end = start;
        }
        int position = 0;
        while (position < bytes.Length)
        {
            int id = ids[position];
            int stop = from[position];
            if (id != Options.UnknownId)
            {
                output.Add(id);
                position = stop;
                continue;
            }
            while (stop < bytes.Length && ids[stop] == Options.UnknownId)
            {
                stop = from[stop];
            }
            Unknown(bytes[position..stop], output);
            position = stop;
        }
    }

    private void Unknown(ReadOnlySpan<byte> run, IdBuffer output)
    {
        if (TryWhole(run, out int whole))
        {
            output.Add(whole);
        }
        else if (Options.ByteFallback && Vocabulary.HasFallback(run))
        {
            foreach (byte value in run)
            {
                output.Add(Vocabulary.FallbackId(value));
            }
        }
        else
        {
            output.Add(Options.UnknownId);
        }
    }

    /// <summary>Characters that are unknown one by one may be a token together (one of too low a score to be chosen).</summary>
    private bool TryWhole(ReadOnlySpan<byte> run, out int id)
    {
        id = -1;
        if (_scores.SinglePrecision || run.Length > Vocabulary.LongestToken * 3)
        {
            return false;
        }
        char[] chars = ArrayPool<char>.Shared.Rent(run.Length);
        int count = Encoding.UTF8.GetChars(run, chars);
        bool found = Vocabulary.TryFindWhole(chars.AsSpan(0, count), out id);
        ArrayPool<char>.Shared.Return(chars);
        return found;
    }

    private static int Width(byte lead) => lead switch
    {
        < 0x80 => 1,
        < 0xE0 => 2,
        < 0xF0 => 3,
        _ => 4,
    };
}
