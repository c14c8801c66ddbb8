namespace ModelServe.Codec.Normalizing;

/// <summary>Reads a row of numbers, seven bits a byte, lowest first; not thread-safe.</summary>
internal sealed class VarintReader(byte[] content)
{
    private int _position;

    /// <summary>The next number.</summary>
    public int Next()
    {
        int value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte part = content[_position++];
            value |= (part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
    }
}
