namespace ModelServe.Codec.Normalizing;

/// <summary>A set of code points as ascending ranges; immutable.</summary>
/// <param name="bounds">First and last code point of each range.</param>
internal sealed class CodePointRanges(int[] bounds)
{
    /// <summary>Whether the set has a code point.</summary>
    public bool Contains(int codePoint)
    {
        int found = Array.BinarySearch(bounds, codePoint);
        // Between the two ends of a range the search lands on the odd index of its last code point.
        return found >= 0 || (~found & 1) == 1;
    }

    /// <summary>The code points, ascending.</summary>
    public IEnumerable<int> All()
    {
        for (int range = 0; range < bounds.Length; range += 2)
        {
            for (int code = bounds[range]; code <= bounds[range + 1]; code++)
            {
                yield return code;
            }
        }
    }
}
