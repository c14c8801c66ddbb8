namespace ModelServe.Codec.Grammars;

/// <summary>Bytes that no edge of a grammar tells apart, numbered, so that a table of moves needs a column for each class and not for each byte. Immutable.</summary>
internal sealed class ByteClasses
{
    private readonly byte[] _of = new byte[256];

    /// <summary>The classes of a grammar's edges, given for each state.</summary>
    public ByteClasses(ByteEdge[][] edges)
    {
        Span<bool> begins = stackalloc bool[257];
        foreach (ByteEdge[] ofState in edges)
        {
            foreach (ByteEdge edge in ofState)
            {
                begins[edge.Low] = begins[edge.High + 1] = true;
            }
        }

        int last = 0;
        for (int value = 1; value < 256; value++)
        {
            last += begins[value] ? 1 : 0;
            _of[value] = (byte)last;
        }

        Count = last + 1;
    }

    /// <summary>How many classes, 1 to 256.</summary>
    public int Count { get; }

    /// <summary>The class of a byte, in [0, <see cref="Count"/>).</summary>
    public int this[byte value] => _of[value];
}
