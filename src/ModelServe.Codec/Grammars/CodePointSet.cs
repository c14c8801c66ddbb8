namespace ModelServe.Codec.Grammars;

/// <summary>A set of Unicode scalar values as ascending, disjoint, non-adjacent ranges. Surrogates are never members. Immutable.</summary>
internal sealed class CodePointSet
{
    private const int Last = 0x10FFFF;
    private readonly (int Low, int High)[] _ranges;

    private CodePointSet((int Low, int High)[] ranges) => _ranges = ranges;

    /// <summary>Every scalar value.</summary>
    public static CodePointSet All { get; } = Of((0, Last));

    /// <summary>The ranges, ascending.</summary>
    public IReadOnlyList<(int Low, int High)> Ranges => _ranges;

    /// <summary>Whether no value is in the set.</summary>
    public bool IsEmpty => _ranges.Length == 0;

    /// <summary>The set of the values in any of the ranges, bounds included; surrogates are left out.</summary>
    public static CodePointSet Of(params ReadOnlySpan<(int Low, int High)> ranges)
    {
        var pieces = new List<(int Low, int High)>();
        foreach ((int low, int high) in ranges)
        {
            AddOutside(pieces, low, Math.Min(high, 0xD7FF));
            AddOutside(pieces, Math.Max(low, 0xE000), high);
        }

        pieces.Sort();
        var merged = new List<(int Low, int High)>();
        foreach ((int low, int high) in pieces)
        {
            if (merged.Count > 0 && low <= merged[^1].High + 1)
            {
                merged[^1] = (merged[^1].Low, Math.Max(merged[^1].High, high));
            }
            else
            {
                merged.Add((low, high));
            }
        }

        return new CodePointSet([.. merged]);
    }

    /// <summary>The set of one value.</summary>
    public static CodePointSet Of(int value) => Of((value, value));

    /// <summary>The values of either set.</summary>
    public CodePointSet Union(CodePointSet other) => Of([.. _ranges, .. other._ranges]);

    /// <summary>The scalar values that are not in the set.</summary>
    public CodePointSet Complement()
    {
        var gaps = new List<(int Low, int High)>();
        int next = 0;
        foreach ((int low, int high) in _ranges)
        {
            gaps.Add((next, low - 1));
            next = high + 1;
        }

        gaps.Add((next, Last));
        return Of([.. gaps]);
    }

    /// <summary>The values of both sets.</summary>
    public CodePointSet Intersect(CodePointSet other) => Complement().Union(other.Complement()).Complement();

    /// <summary>The values of this set that the other does not have.</summary>
    public CodePointSet Except(CodePointSet other) => Intersect(other.Complement());

    private static void AddOutside(List<(int Low, int High)> pieces, int low, int high)
    {
        if (low <= high)
        {
            pieces.Add((low, high));
        }
    }
}
