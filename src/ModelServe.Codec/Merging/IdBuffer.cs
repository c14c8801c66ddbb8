namespace ModelServe.Codec.Merging;

/// <summary>A growing list of token ids under construction; not thread-safe.</summary>
internal sealed class IdBuffer
{
    private int[] _ids = new int[64];

    /// <summary>Ids so far.</summary>
    public int Count { get; private set; }

    /// <summary>Appends one id.</summary>
    public void Add(int id)
    {
        if (Count == _ids.Length)
        {
            Array.Resize(ref _ids, _ids.Length * 2);
        }
        _ids[Count++] = id;
    }

    /// <summary>Appends ids.</summary>
    public void Add(ReadOnlySpan<int> ids)
    {
        if (Count + ids.Length > _ids.Length)
        {
            Array.Resize(ref _ids, Math.Max(_ids.Length * 2, Count + ids.Length));
        }
        ids.CopyTo(_ids.AsSpan(Count));
        Count += ids.Length;
    }

    /// <summary>The ids from an index on; valid until the next append.</summary>
    public ReadOnlySpan<int> From(int start) => _ids.AsSpan(start, Count - start);

    /// <summary>A copy of all ids.</summary>
    public int[] ToArray() => _ids.AsSpan(0, Count).ToArray();
}
