using System.Runtime.InteropServices;

namespace ModelServe.Codec.Merging;

/// <summary>
/// Remembers the ids of short words. Bounded and lock-free: a fixed array of immutable entries, two places a word; a new word
/// overwrites an old one, and a race costs one recomputation at most. Thread-safe.
/// </summary>
/// <param name="slots">Number of entries, a power of two.</param>
internal sealed class WordCache(int slots)
{
    /// <summary>Longest word that is remembered, in chars.</summary>
    public const int LongestWord = 64;

    private readonly Entry?[] _entries = new Entry?[slots];

    /// <summary>The ids of a word, where remembered.</summary>
    public bool TryGet(ReadOnlySpan<char> word, uint hash, out ReadOnlySpan<int> ids)
    {
        int home = (int)(hash & (uint)(_entries.Length - 1));
        Entry? entry = Volatile.Read(ref _entries[home]);
        if (entry is null || !word.SequenceEqual(entry.Word))
        {
            entry = Volatile.Read(ref _entries[home ^ 1]);
            if (entry is null || !word.SequenceEqual(entry.Word))
            {
                ids = default;
                return false;
            }
        }
        ids = entry.Ids;
        return true;
    }

    /// <summary>Remembers a word.</summary>
    public void Put(ReadOnlySpan<char> word, uint hash, ReadOnlySpan<int> ids)
    {
        int home = (int)(hash & (uint)(_entries.Length - 1));
        Entry? old = Volatile.Read(ref _entries[home]);
        if (old is not null)
        {
            Volatile.Write(ref _entries[home ^ 1], old);
        }
        Volatile.Write(ref _entries[home], new Entry(word.ToString(), ids.ToArray()));
    }

    /// <summary>A hash of a word; hostile words can only evict others.</summary>
    public static uint Hash(ReadOnlySpan<char> word)
    {
        ulong hash = (ulong)word.Length * 0x9E3779B97F4A7C15UL;
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(word);
        while (bytes.Length >= 8)
        {
            hash = (ulong.RotateLeft(hash, 23) ^ MemoryMarshal.Read<ulong>(bytes)) * 0xD6E8FEB86659FD93UL;
            bytes = bytes[8..];
        }
        foreach (byte value in bytes)
        {
            hash = (hash ^ value) * 0x100000001B3UL;
        }
        return (uint)((hash * 0x9E3779B97F4A7C15UL) >> 32);
    }

    private sealed record Entry(string Word, int[] Ids);
}
