using System.Numerics;

namespace ModelServe.Api.Models;

/// <summary>Remembers which replica was given which beginnings of prompts, so that the next such prompt finds its blocks there.</summary>
/// <remarks>
/// A guess, and never more: a replica may have evicted what is remembered here, which costs time and changes no answer. Of fixed
/// size; what is remembered last replaces what hashes to the same place. Thread: one at a time.
/// </remarks>
internal sealed class PrefixAffinity
{
    /// <summary>Beginnings are compared by multiples of so many tokens; what is shorter is not worth a choice.</summary>
    public const int ChunkTokens = 64;

    /// <summary>Replicas that can be told apart.</summary>
    public const int MostReplicas = 32;

    private const int Places = 1 << 16;

    private readonly ulong[] _hashes = new ulong[Places];
    private readonly uint[] _holders = new uint[Places];

    /// <summary>How many tokens at the beginning of a prompt each replica was given before.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="salt">Prompts of another salt share nothing.</param>
    /// <param name="matched">[replica] receives the count, a multiple of <see cref="ChunkTokens"/>.</param>
    public void Match(ReadOnlySpan<int> prompt, ulong salt, Span<int> matched)
    {
        matched.Clear();
        uint holders = uint.MaxValue;
        ulong hash = Begin(salt);
        for (int end = ChunkTokens; end <= prompt.Length && holders != 0; end += ChunkTokens)
        {
            hash = Extend(hash, prompt[(end - ChunkTokens)..end]);
            int place = Place(hash);
            holders &= _hashes[place] == hash ? _holders[place] : 0;
            for (uint rest = holders; rest != 0; rest &= rest - 1)
            {
                int replica = BitOperations.TrailingZeroCount(rest);
                if (replica < matched.Length)
                {
                    matched[replica] = end;
                }
            }
        }
    }

    /// <summary>A replica was given a prompt.</summary>
    public void Remember(ReadOnlySpan<int> prompt, ulong salt, int replica)
    {
        ulong hash = Begin(salt);
        for (int end = ChunkTokens; end <= prompt.Length; end += ChunkTokens)
        {
            hash = Extend(hash, prompt[(end - ChunkTokens)..end]);
            int place = Place(hash);
            _holders[place] = (_hashes[place] == hash ? _holders[place] : 0) | (1u << replica);
            _hashes[place] = hash;
        }
    }

    /// <summary>The replicas have forgotten their cached prefixes.</summary>
    public void Clear() => Array.Clear(_holders);

    private static int Place(ulong hash) => (int)(hash >> 48);

    // Not 0, which is what an empty place holds.
    private static ulong Begin(ulong salt) => (salt * 0x9E3779B97F4A7C15) | 1;

    private static ulong Extend(ulong hash, ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
        {
            hash = BitOperations.RotateLeft(hash ^ ((uint)token * 0xD6E8FEB86659FD93), 27) * 0x9E3779B97F4A7C15;
        }

        return hash;
    }
}
