using System.Numerics;

namespace ModelServe.Engine.Blocks;

/// <summary>Finds the block that already holds the keys and values of a run of tokens after a known prefix.</summary>
/// <remarks>
/// Only full blocks are entered. A hash only nominates: a hit is a hit because the tokens are equal and the parent is the
/// very entry that the walk came from, so by induction the whole prefix is equal. Entry numbers are never used twice, so a
/// block whose parent was evicted can no longer be reached, and ages out of the pool.
/// Of blocks with equal content the first entered is found; tables stay append-only because the others are kept unentered.
/// Open addressing over block ids, at most half full; nothing is allocated after construction. Thread: engine thread only.
/// </remarks>
internal sealed class PrefixIndex
{
    private readonly UInt128 _key;
    private readonly KvEventLog? _log;
    private readonly int _blockTokens;
    private readonly int _mask;
    private readonly int[] _buckets;
    private readonly ulong[] _low;
    private readonly ulong[] _high;
    private readonly ulong[] _salts;
    private readonly long[] _parents;
    private readonly long[] _entries;
    private readonly int[] _tokens;
    private long _lastEntry;

    /// <summary>Makes an empty index for that many blocks.</summary>
    /// <param name="blockCount">Blocks of the pool, with the null block.</param>
    /// <param name="blockTokens">Tokens a block holds; even.</param>
    /// <param name="key">Secret of this process.</param>
    /// <param name="log">Where changes are told, if anywhere.</param>
    public PrefixIndex(int blockCount, int blockTokens, UInt128 key, KvEventLog? log = null)
    {
        _key = key;
        _log = log;
        _blockTokens = blockTokens;
        _buckets = new int[BitOperations.RoundUpToPowerOf2((uint)blockCount * 2)];
        _mask = _buckets.Length - 1;
        _low = new ulong[blockCount];
        _high = new ulong[blockCount];
        _salts = new ulong[blockCount];
        _parents = new long[blockCount];
        _entries = new long[blockCount];
        _tokens = new int[blockCount * blockTokens];
    }

    /// <summary>Blocks entered.</summary>
    public int Count { get; private set; }

    /// <summary>The empty prefix of one salt.</summary>
    public static PrefixChain Root(ulong salt) => new(0, 0, 0, salt);

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Array.Clear(_buckets);
        Array.Clear(_entries);
        Count = 0;
        _log?.WriteCleared();
    }

    /// <summary>Finds the block that holds these tokens after <paramref name="chain"/>, and moves the chain behind it.</summary>
    /// <returns>The block, or 0; the chain moves only on a hit.</returns>
    public int Find(ref PrefixChain chain, ReadOnlySpan<int> tokens)
    {
        PrefixHash.Compute(_key, chain, tokens, out var low, out var high);
        var block = Probe(chain, tokens, low, high, out _);
        if (block != 0)
        {
            chain = new PrefixChain(low, high, _entries[block], chain.Salt);
        }

        return block;
    }

    /// <summary>Enters a full block, unless an equal one is entered already, and moves the chain behind it.</summary>
    /// <returns>Whether this block was entered.</returns>
    public bool Enter(ref PrefixChain chain, ReadOnlySpan<int> tokens, int block)
    {
        PrefixHash.Compute(_key, chain, tokens, out var low, out var high);
        var present = Probe(chain, tokens, low, high, out var bucket);
        if (present == 0)
        {
            _buckets[bucket] = block;
            _low[block] = low;
            _high[block] = high;
            _salts[block] = chain.Salt;
            _parents[block] = chain.Entry;
            _entries[block] = ++_lastEntry;
            tokens.CopyTo(_tokens.AsSpan(block * _blockTokens, _blockTokens));
            Count++;
            _log?.WriteStored(low, high, chain, tokens);
        }

        chain = new PrefixChain(low, high, _entries[present == 0 ? block : present], chain.Salt);
        return present == 0;
    }

    /// <summary>Removes a block whose content is about to be overwritten.</summary>
    public void Remove(int block)
    {
        if (_entries[block] == 0)
        {
            throw new InvalidOperationException($"block {block} is not in the prefix index");
        }

        var hole = (int)_low[block] & _mask;
        while (_buckets[hole] != block)
        {
            hole = (hole + 1) & _mask;
        }

        // Move back what would no longer be reached over the hole, so that no tombstones pile up.
        for (var probe = (hole + 1) & _mask; _buckets[probe] != 0; probe = (probe + 1) & _mask)
        {
            var home = (int)_low[_buckets[probe]] & _mask;
            if (((probe - home) & _mask) >= ((probe - hole) & _mask))
            {
                _buckets[hole] = _buckets[probe];
                hole = probe;
            }
        }

        _buckets[hole] = 0;
        _entries[block] = 0;
        Count--;
        _log?.WriteRemoved(_low[block], _high[block]);
    }

    /// <summary>Whether a block is entered and can be reached from its bucket.</summary>
    public bool Contains(int block)
    {
        if (_entries[block] == 0)
        {
            return false;
        }

        var bucket = (int)_low[block] & _mask;
        while (_buckets[bucket] != block && _buckets[bucket] != 0)
        {
            bucket = (bucket + 1) & _mask;
        }

        return _buckets[bucket] == block;
    }

    private int Probe(in PrefixChain chain, ReadOnlySpan<int> tokens, ulong low, ulong high, out int bucket)
    {
        for (bucket = (int)low & _mask; _buckets[bucket] != 0; bucket = (bucket + 1) & _mask)
        {
            var block = _buckets[bucket];
            if (_low[block] == low && _high[block] == high && _parents[block] == chain.Entry && _salts[block] == chain.Salt
                && tokens.SequenceEqual(_tokens.AsSpan(block * _blockTokens, _blockTokens)))
            {
                return block;
            }
        }

        return 0;
    }
}
