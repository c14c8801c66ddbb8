using System.Buffers;
using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// Code points whose normalization data is newer than the Unicode 9 tables by which tokenizer.json's own library normalizes. To it
/// they neither compose, decompose nor change places, so they and what surrounds them are normalized apart.
/// Found by a sweep over all code points.
/// </summary>
internal static class LaterCodePoints
{
    // First and last code point of each range, ascending. U+FFFE is added because the runtime refuses to normalize it.
    private static readonly int[] Ranges =
    [
        0x7FD, 0x7FD, 0x897, 0x89F, 0x8CA, 0x8D3, 0x9FE, 0x9FE, 0xC3C, 0xC3C, 0xD3B, 0xD3C, 0xEBA, 0xEBA, 0x1715, 0x1715,
        0x1ABF, 0x1ADD, 0x1AE0, 0x1AEB, 0x1DF6, 0x1DFA, 0x32FF, 0x32FF, 0xA7F1, 0xA7F4, 0xA82C, 0xA82C, 0xAB69, 0xAB69, 0xFFFE, 0xFFFE,
        0x105C9, 0x105C9, 0x105D2, 0x105D2, 0x105DA, 0x105DA, 0x105E4, 0x105E4, 0x10781, 0x10785, 0x10787, 0x107B0,
        0x107B2, 0x107BA, 0x10D24, 0x10D27, 0x10D69, 0x10D6D, 0x10EAB, 0x10EAC, 0x10EFA, 0x10EFB, 0x10EFD, 0x10EFF,
        0x10F46, 0x10F50, 0x10F82, 0x10F85, 0x11070, 0x11070, 0x1133B, 0x1133B, 0x11382, 0x11385, 0x1138B, 0x1138B,
        0x1138E, 0x1138E, 0x11390, 0x11391, 0x113B8, 0x113B8, 0x113BB, 0x113BB, 0x113C2, 0x113C2, 0x113C5, 0x113C5,
        0x113C7, 0x113C9, 0x113CE, 0x113D0, 0x1145E, 0x1145E, 0x11839, 0x1183A, 0x11930, 0x11930, 0x11935, 0x11935,
        0x11938, 0x11938, 0x1193D, 0x1193E, 0x11943, 0x11943, 0x119E0, 0x119E0, 0x11A34, 0x11A34, 0x11A47, 0x11A47,
        0x11A99, 0x11A99, 0x11D42, 0x11D42, 0x11D44, 0x11D45, 0x11D97, 0x11D97, 0x11F41, 0x11F42, 0x1611E, 0x16129,
        0x1612F, 0x1612F, 0x16D63, 0x16D63, 0x16D67, 0x16D6A, 0x16FF0, 0x16FF1, 0x1CCD6, 0x1CCF9, 0x1E030, 0x1E06D,
        0x1E08F, 0x1E08F, 0x1E130, 0x1E136, 0x1E2AE, 0x1E2AE, 0x1E2EC, 0x1E2EF, 0x1E4EC, 0x1E4EF, 0x1E5EE, 0x1E5EF,
        0x1E6E3, 0x1E6E3, 0x1E6E6, 0x1E6E6, 0x1E6EE, 0x1E6EF, 0x1E6F5, 0x1E6F5, 0x1F16C, 0x1F16C, 0x1FBF0, 0x1FBF9,
    ];

    private static readonly SearchValues<char> Candidates = SearchValues.Create([.. FirstUnits()]);

    /// <summary>Index and width of the first such code point at or after an index; false where there is none.</summary>
    public static bool TryFind(string text, int start, out int index, out int width)
    {
        index = start;
        while (index < text.Length)
        {
            int found = text.AsSpan(index).IndexOfAny(Candidates);
            if (found < 0)
            {
                break;
            }
            index += found;
            Rune.DecodeFromUtf16(text.AsSpan(index), out Rune rune, out width);
            if (Contains(rune.Value))
            {
                return true;
            }
            index += width;
        }
        width = 0;
        return false;
    }

    private static bool Contains(int codePoint)
    {
        int found = Array.BinarySearch(Ranges, codePoint);
        // Between the two ends of a range the search lands on the odd index of its last code point.
        return found >= 0 || (~found & 1) == 1;
    }

    private static HashSet<char> FirstUnits()
    {
        HashSet<char> units = [];
        for (int range = 0; range < Ranges.Length; range += 2)
        {
            for (int code = Ranges[range]; code <= Ranges[range + 1]; code++)
            {
                units.Add(char.ConvertFromUtf32(code)[0]);
            }
        }
        return units;
    }
}
