namespace ModelServe.Execution.Sampling;

/// <summary>Random numbers without state: the number for a place in a sequence depends on its seed and position alone.</summary>
/// <remarks>
/// Philox 4x32 with ten rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by the seed, counting by
/// position. A sequence therefore draws the same tokens whatever its batch mates, after a preemption, and on every device.
/// </remarks>
internal static class SeededNoise
{
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;
    private const int Rounds = 10;

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public static double Uniform(ulong seed, long position)
    {
        var (low, high) = Block(seed, (ulong)position);
        return (((ulong)high << 32 | low) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>The first two words of a Philox block.</summary>
    internal static (uint First, uint Second) Block(ulong key, ulong counter)
    {
        uint c0 = (uint)counter, c1 = (uint)(counter >> 32), c2 = 0, c3 = 0;
        uint k0 = (uint)key, k1 = (uint)(key >> 32);
        for (var round = 0; round < Rounds; round++)
        {
            var product0 = (ulong)Multiplier0 * c0;
            var product1 = (ulong)Multiplier1 * c2;
            (c0, c1, c2, c3) = ((uint)(product1 >> 32) ^ c1 ^ k0, (uint)product1, (uint)(product0 >> 32) ^ c3 ^ k1, (uint)product0);
            k0 = unchecked(k0 + Weyl0);
            k1 = unchecked(k1 + Weyl1);
        }

        return (c0, c1);
    }
}
