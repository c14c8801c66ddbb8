using System.Numerics;
using System.Runtime.InteropServices;

namespace ModelServe.Engine.Blocks;

/// <summary>SipHash-2-4 with 128 bits of output over whole words: a client without the key cannot aim for collisions.</summary>
/// <remarks>After Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). Pure; allocates nothing.</remarks>
internal static class PrefixHash
{
    /// <summary>Hashes (parent, salt, tokens) under a key.</summary>
    /// <param name="key">The secret of this process.</param>
    /// <param name="parent">Chain before these tokens.</param>
    /// <param name="tokens">The block's token ids; an even number.</param>
    /// <param name="low">Low half of the hash.</param>
    /// <param name="high">High half of the hash.</param>
    public static void Compute(UInt128 key, in PrefixChain parent, ReadOnlySpan<int> tokens, out ulong low, out ulong high)
    {
        var state = new State(key);
        state.Absorb(parent.Low);
        state.Absorb(parent.High);
        state.Absorb(parent.Salt);
        foreach (var pair in MemoryMarshal.Cast<int, ulong>(tokens))
        {
            state.Absorb(pair);
        }

        state.Finish((ulong)((3 + (tokens.Length / 2)) * sizeof(ulong)), out low, out high);
    }

    /// <summary>Hashes words alone; the published test vectors check this form.</summary>
    public static UInt128 Compute(UInt128 key, ReadOnlySpan<ulong> words)
    {
        var state = new State(key);
        foreach (var word in words)
        {
            state.Absorb(word);
        }

        state.Finish((ulong)(words.Length * sizeof(ulong)), out var low, out var high);
        return new UInt128(high, low);
    }

    private struct State(UInt128 key)
    {
        private ulong _v0 = (ulong)key ^ 0x736f6d6570736575;
        private ulong _v1 = (ulong)(key >> 64) ^ 0x646f72616e646f6d ^ 0xee;
        private ulong _v2 = (ulong)key ^ 0x6c7967656e657261;
        private ulong _v3 = (ulong)(key >> 64) ^ 0x7465646279746573;

        public void Absorb(ulong word)
        {
            _v3 ^= word;
            Round();
            Round();
            _v0 ^= word;
        }

        public void Finish(ulong byteCount, out ulong low, out ulong high)
        {
            Absorb(byteCount << 56);
            _v2 ^= 0xee;
            low = Squeeze();
            _v1 ^= 0xdd;
            high = Squeeze();
        }

        private ulong Squeeze()
        {
            Round();
            Round();
            Round();
            Round();
            return _v0 ^ _v1 ^ _v2 ^ _v3;
        }

        private void Round()
        {
            _v0 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 13) ^ _v0;
            _v0 = BitOperations.RotateLeft(_v0, 32);
            _v2 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 16) ^ _v2;
            _v0 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 21) ^ _v0;
            _v2 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 17) ^ _v2;
            _v2 = BitOperations.RotateLeft(_v2, 32);
        }
    }
}
