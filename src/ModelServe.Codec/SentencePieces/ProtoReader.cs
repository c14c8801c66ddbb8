using System.Buffers.Binary;

namespace ModelServe.Codec.SentencePieces;

/// <summary>Reads the fields of one protocol-buffer message in place.</summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>Number of the current field.</summary>
    public int Field { get; private set; }

    /// <summary>Value of a field that is a number: a varint, or the bits of a fixed one.</summary>
    public ulong Number { get; private set; }

    /// <summary>Bytes of a field that has a length; empty for numbers.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The current field as a 32-bit floating-point number.</summary>
    public readonly float Single => BitConverter.UInt32BitsToSingle((uint)Number);

    /// <summary>Goes to the next field; false at the end.</summary>
    /// <exception cref="FormatException">The message is cut off or not a protocol buffer.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }
        ulong tag = Varint();
        Field = (int)(tag >> 3);
        Bytes = default;
        switch (tag & 7)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Number = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                Bytes = Take(Varint());
                break;
            case 5:
                Number = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw new FormatException("a field of an unknown kind");
        }
        return true;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
        throw new FormatException("a number of more than ten bytes");
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length)
        {
            throw new FormatException("a field that is longer than the rest of the file");
        }
        ReadOnlySpan<byte> taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }
}
