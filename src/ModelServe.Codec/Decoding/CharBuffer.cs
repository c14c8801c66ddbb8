namespace ModelServe.Codec.Decoding;

/// <summary>A growing run of chars that is emptied and filled again; not thread-safe.</summary>
internal sealed class CharBuffer
{
    private char[] _chars = new char[64];
    private int _count;

    /// <summary>The chars.</summary>
    public ReadOnlySpan<char> Written => _chars.AsSpan(0, _count);

    /// <summary>Number of chars.</summary>
    public int Count => _count;

    /// <summary>Empties the buffer.</summary>
    public void Clear() => _count = 0;

    /// <summary>Appends one char.</summary>
    public void Add(char value)
    {
        Reserve(1)[0] = value;
        _count++;
    }

    /// <summary>Appends chars.</summary>
    public void Add(ReadOnlySpan<char> values)
    {
        values.CopyTo(Reserve(values.Length));
        _count += values.Length;
    }

    /// <summary>Room for at least that many chars at the end; <see cref="Commit"/> says how many were written.</summary>
    public Span<char> Reserve(int count)
    {
        if (_count + count > _chars.Length)
        {
            Array.Resize(ref _chars, Math.Max(_chars.Length * 2, _count + count));
        }
        return _chars.AsSpan(_count);
    }

    /// <summary>Counts chars that were written into the reserved room.</summary>
    public void Commit(int count) => _count += count;
}
