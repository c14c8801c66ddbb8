namespace ModelServe.Execution.Operations;

/// <summary>Cosines and sines of the rotary embedding for every position up to the longest sequence.</summary>
/// <remarks>
/// Half-split convention: element i &lt; headDim / 2 pairs with element i + headDim / 2;
/// <c>x'[i] = x[i] cos − x[i + half] sin</c>, <c>x'[i + half] = x[i + half] cos + x[i] sin</c>.
/// A view: the loaded model owns the bytes. Both tables are [position, headDim / 2] and start at multiples of 64 bytes.
/// </remarks>
internal sealed unsafe class RotaryTable
{
    /// <summary>A view of both tables.</summary>
    public RotaryTable(float* cosines, float* sines, int positions, int half)
    {
        Cosines = cosines;
        Sines = sines;
        Positions = positions;
        Half = half;
    }

    /// <summary>[position, Half].</summary>
    public float* Cosines { get; }

    /// <summary>[position, Half].</summary>
    public float* Sines { get; }

    /// <summary>Positions tabulated.</summary>
    public int Positions { get; }

    /// <summary>Half the head's elements.</summary>
    public int Half { get; }
}
