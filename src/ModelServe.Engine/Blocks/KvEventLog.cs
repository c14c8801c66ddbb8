using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ModelServe.Engine.Blocks;

/// <summary>The last changes of one engine's prefix cache, numbered without gaps, for routers that follow it.</summary>
/// <remarks>
/// A ring of preallocated entries. The engine thread alone writes; it never waits, allocates or makes a system call, and
/// overwrites the oldest entry. Any number of readers copy entries out; one that is overtaken is told so by
/// <see cref="KvReadResult.Lost"/> and never sees half an entry: a writer announces the number it is about to write before it
/// touches the entry, and a reader looks at that announcement after it has copied.
/// </remarks>
public sealed class KvEventLog
{
    private readonly int _mask;
    private readonly KvEventKind[] _kinds;
    private readonly UInt128[] _hashes;
    private readonly UInt128[] _parents;
    private readonly bool[] _hasParent;
    private readonly long[] _times;
    private readonly int[] _tokens;
    private long _announced;
    private long _written;

    /// <summary>Makes an empty log.</summary>
    /// <param name="capacity">Events kept, rounded up to a power of two.</param>
    /// <param name="blockTokens">Tokens of a block.</param>
    internal KvEventLog(int capacity, int blockTokens)
    {
        Capacity = (int)BitOperations.RoundUpToPowerOf2((uint)capacity);
        BlockTokens = blockTokens;
        _mask = Capacity - 1;
        _kinds = new KvEventKind[Capacity];
        _hashes = new UInt128[Capacity];
        _parents = new UInt128[Capacity];
        _hasParent = new bool[Capacity];
        _times = new long[Capacity];
        _tokens = new int[Capacity * blockTokens];
    }

    /// <summary>Tokens of a block.</summary>
    public int BlockTokens { get; }

    /// <summary>Events that are kept.</summary>
    public int Capacity { get; }

    /// <summary>Random name of this log: numbers of another epoch mean nothing here.</summary>
    public ulong Epoch { get; } = MemoryMarshal.Read<ulong>(RandomNumberGenerator.GetBytes(sizeof(ulong)));

    /// <summary>Number of the newest event; 0 before the first.</summary>
    public long LastSequence => Volatile.Read(ref _written);

    /// <summary>Number of the oldest event that can still be read; 1 before the first.</summary>
    public long FirstSequence => Math.Max(1, Volatile.Read(ref _announced) - Capacity + 1);

    /// <summary>Time of the events that are written from now on, in UTC ticks; engine thread only.</summary>
    internal long NowTicks { get; set; }

    /// <summary>Copies one event. Any thread.</summary>
    /// <param name="sequence">Its number, at least 1.</param>
    /// <param name="target">Filled when the answer is <see cref="KvReadResult.Read"/>; otherwise its content is undefined.</param>
    public KvReadResult TryRead(long sequence, KvEvent target)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(sequence, 1);
        if (sequence > Volatile.Read(ref _written))
        {
            return KvReadResult.NotYet;
        }

        var entry = (int)sequence & _mask;
        target.Sequence = sequence;
        target.Kind = _kinds[entry];
        target.Hash = _hashes[entry];
        target.Parent = _hasParent[entry] ? _parents[entry] : null;
        target.Time = new DateTimeOffset(_times[entry], TimeSpan.Zero);
        _tokens.AsSpan(entry * BlockTokens, BlockTokens).CopyTo(target.Tokens);
        // The copy is done before the look: a writer that began to overwrite the entry meanwhile has announced itself.
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref _announced) >= sequence + Capacity ? KvReadResult.Lost : KvReadResult.Read;
    }

    /// <summary>A block was entered behind <paramref name="parent"/>.</summary>
    internal void WriteStored(ulong low, ulong high, in PrefixChain parent, ReadOnlySpan<int> tokens)
    {
        var entry = Announce(KvEventKind.Stored, new UInt128(high, low));
        _hasParent[entry] = parent.Entry != 0;
        _parents[entry] = new UInt128(parent.High, parent.Low);
        tokens.CopyTo(_tokens.AsSpan(entry * BlockTokens, BlockTokens));
        Volatile.Write(ref _written, _announced);
    }

    /// <summary>A block was removed.</summary>
    internal void WriteRemoved(ulong low, ulong high)
    {
        _hasParent[Announce(KvEventKind.Removed, new UInt128(high, low))] = false;
        Volatile.Write(ref _written, _announced);
    }

    /// <summary>Every block was removed at once.</summary>
    internal void WriteCleared()
    {
        _hasParent[Announce(KvEventKind.Cleared, 0)] = false;
        Volatile.Write(ref _written, _announced);
    }

    private int Announce(KvEventKind kind, UInt128 hash)
    {
        Volatile.Write(ref _announced, _announced + 1);
        Interlocked.MemoryBarrier();
        var entry = (int)_announced & _mask;
        _kinds[entry] = kind;
        _hashes[entry] = hash;
        _times[entry] = NowTicks;
        return entry;
    }
}
