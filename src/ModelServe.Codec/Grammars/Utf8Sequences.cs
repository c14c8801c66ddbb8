using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>Turns ranges of scalar values into sequences of byte ranges, as UTF-8 spells them.</summary>
/// <remarks>The classic split: by encoded length, then wherever a continuation byte would not span its whole range. Source: Russ Cox, "Regular Expression Matching in the Wild" (2010), UTF-8 section.</remarks>
internal static class Utf8Sequences
{
    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    /// <summary>Sequences whose byte strings together are exactly the encodings of the set; each has 1 to 4 ranges.</summary>
    public static IEnumerable<(byte Low, byte High)[]> Of(CodePointSet set)
    {
        foreach ((int low, int high) in set.Ranges)
        {
            int from = low;
            foreach (int last in LastOfLength)
            {
                if (from <= high && from <= last)
                {
                    int to = Math.Min(high, last);
                    foreach ((byte, byte)[] sequence in SameLength(from, to))
                    {
                        yield return sequence;
                    }

                    from = to + 1;
                }
            }
        }
    }

    private static IEnumerable<(byte Low, byte High)[]> SameLength(int low, int high)
    {
        byte[] first = Encode(low);
        for (int tail = 1; tail < first.Length; tail++)
        {
            int mask = (1 << (6 * tail)) - 1;
            if ((low & ~mask) != (high & ~mask))
            {
                if ((low & mask) != 0)
                {
                    return SameLength(low, low | mask).Concat(SameLength((low | mask) + 1, high));
                }

                if ((high & mask) != mask)
                {
                    return SameLength(low, (high & ~mask) - 1).Concat(SameLength(high & ~mask, high));
                }
            }
        }

        byte[] last = Encode(high);
        return [[.. first.Zip(last, (a, b) => (a, b))]];
    }

    private static byte[] Encode(int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        return bytes[..new Rune(value).EncodeToUtf8(bytes)].ToArray();
    }
}
