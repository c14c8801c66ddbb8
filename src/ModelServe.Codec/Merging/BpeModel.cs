using System.Buffers;
using System.Text;

namespace ModelServe.Codec.Merging;

/// <summary>Byte-pair encoding of one pre-token. Immutable but for its cache; thread-safe.</summary>
internal sealed class BpeModel : ITokenModel
{
    private const int CacheSlots = 1 << 16;

    private readonly BpeVocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly WordCache _cache = new(CacheSlots);

    /// <summary>A model over a vocabulary and its merges.</summary>
    public BpeModel(BpeVocabulary vocabulary, MergeTable merges, BpeOptions options)
    {
        _vocabulary = vocabulary;
        _merges = merges;
        Options = options;
    }

    /// <inheritdoc/>
    public BpeOptions Options { get; }

    /// <inheritdoc/>
    public BpeVocabulary Vocabulary => _vocabulary;

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

    /// <summary>As <see cref="Encode"/>, neither asking nor filling the cache.</summary>
    internal void EncodeUncached(ReadOnlySpan<char> piece, IdBuffer output)
    {
        // A char is at most three symbols (UTF-8 bytes); a surrogate pair is four for two chars.
        int most = piece.Length * 3;
        int[]? rented = most > 256 ? ArrayPool<int>.Shared.Rent(most) : null;
        Span<int> symbols = rented ?? stackalloc int[256];
        int count;
        if (Options.IgnoreMerges && TryWhole(piece, out int whole))
        {
            symbols[0] = whole;
            count = 1;
        }
        else
        {
            count = Options.ByteLevel ? ByteSymbols(piece, symbols) : RuneSymbols(piece, symbols);
            count = SymbolMerger.Merge(_merges, symbols[..count]);
        }
        output.Add(symbols[..count]);
        if (rented is not null)
        {
            ArrayPool<int>.Shared.Return(rented);
        }
    }

    private bool TryWhole(ReadOnlySpan<char> piece, out int id)
    {
        if (!Options.ByteLevel)
        {
            return _vocabulary.TryFindWhole(piece, out id);
        }
        int length = Encoding.UTF8.GetByteCount(piece);
        if (length > _vocabulary.LongestToken)
        {
            id = -1;
            return false;
        }
        char[]? rented = length > 256 ? ArrayPool<char>.Shared.Rent(length) : null;
        Span<char> written = rented ?? stackalloc char[256];
        Span<byte> bytes = stackalloc byte[4];
        int count = 0;
        foreach (Rune rune in piece.EnumerateRunes())
        {
            int width = rune.EncodeToUtf8(bytes);
            for (int index = 0; index < width; index++)
            {
                written[count++] = ByteAlphabet.CharOf(bytes[index]);
            }
        }
        bool found = _vocabulary.TryFindWhole(written[..count], out id);
        if (rented is not null)
        {
            ArrayPool<char>.Shared.Return(rented);
        }
        return found;
    }

    private int ByteSymbols(ReadOnlySpan<char> piece, Span<int> symbols)
    {
        var writer = new SymbolWriter(symbols, Options);
        Span<byte> bytes = stackalloc byte[4];
        foreach (Rune rune in piece.EnumerateRunes())
        {
            int width = rune.EncodeToUtf8(bytes);
            for (int index = 0; index < width; index++)
            {
                int id = _vocabulary.ByteCharId(bytes[index]);
                if (id >= 0)
                {
                    writer.Known(id);
                }
                else
                {
                    writer.Unknown();
                }
            }
        }
        return writer.Finish();
    }

    private int RuneSymbols(ReadOnlySpan<char> piece, Span<int> symbols)
    {
        var writer = new SymbolWriter(symbols, Options);
        Span<byte> bytes = stackalloc byte[4];
        foreach (Rune rune in piece.EnumerateRunes())
        {
            int id = _vocabulary.RuneId(rune.Value);
            if (id >= 0)
            {
                writer.Known(id);
                continue;
            }
            int width = rune.EncodeToUtf8(bytes);
            if (Options.ByteFallback && _vocabulary.HasFallback(bytes[..width]))
            {
                foreach (byte value in bytes[..width])
                {
                    writer.Byte(_vocabulary.FallbackId(value));
                }
            }
            else
            {
                writer.Unknown();
            }
        }
        return writer.Finish();
    }

    /// <summary>Collects the symbols of a piece and holds an unknown one until it is known whether the next fuses with it.</summary>
    private ref struct SymbolWriter(Span<int> symbols, BpeOptions options)
    {
        private readonly Span<int> _symbols = symbols;
        private readonly BpeOptions _options = options;
        private int _count;
        private bool _pending;

        public void Known(int id)
        {
            Settle();
            _symbols[_count++] = id;
        }

        /// <summary>A byte token does not settle a pending unknown: the order that tokenizer.json's own library gives.</summary>
        public void Byte(int id) => _symbols[_count++] = id;

        public void Unknown()
        {
            if (_options.UnknownId < 0)
            {
                return;
            }
            if (!_options.FuseUnknown)
            {
                Settle();
            }
            _pending = true;
        }

        public int Finish()
        {
            Settle();
            return _count;
        }

        private void Settle()
        {
            if (_pending)
            {
                _symbols[_count++] = _options.UnknownId;
                _pending = false;
            }
        }
    }
}
