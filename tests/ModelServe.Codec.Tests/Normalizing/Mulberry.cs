namespace ModelServe.Codec.Tests.Normalizing;

/// <summary>The seeded generator of tests/oracles/corpus.mjs (mulberry32), so that both sides make the same texts.</summary>
internal sealed class Mulberry(uint seed)
{
    private uint _state = seed;

    /// <summary>The next number in [0, 1).</summary>
    public double Next()
    {
        unchecked
        {
            _state += 0x6D2B79F5;
            uint mixed = (_state ^ (_state >> 15)) * (1 | _state);
            mixed = (mixed + ((mixed ^ (mixed >> 7)) * (61 | mixed))) ^ mixed;
            return (mixed ^ (mixed >> 14)) / 4294967296.0;
        }
    }

    /// <summary>The next whole number below a bound.</summary>
    public int Below(int bound) => (int)(Next() * bound);
}
