namespace ModelServe.Engine.Planning;

/// <summary>A binary heap in one array whose entries know their places, so that any one leaves or moves in O(log n).</summary>
/// <remarks>Allocates only when it outgrows its array. Thread: engine thread only.</remarks>
internal sealed class IndexedHeap<T>
    where T : class, IHeapEntry<T>
{
    private T[] _entries;

    /// <summary>Makes an empty heap with room for that many before it grows.</summary>
    public IndexedHeap(int capacity) => _entries = new T[Math.Max(4, capacity)];

    /// <summary>Entries in it.</summary>
    public int Count { get; private set; }

    /// <summary>The next to come out, or null.</summary>
    public T? First => Count > 0 ? _entries[0] : null;

    /// <summary>All of them, in no useful order; invalid after the next change.</summary>
    public ReadOnlySpan<T> All => _entries.AsSpan(0, Count);

    /// <summary>Adds one.</summary>
    public void Add(T entry)
    {
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, Count * 2);
        }

        SiftUp(entry, Count++);
    }

    /// <summary>Removes one that is in it.</summary>
    public void Remove(T entry)
    {
        var hole = entry.HeapIndex;
        entry.HeapIndex = -1;
        var moved = _entries[--Count];
        _entries[Count] = null!;
        if (hole < Count)
        {
            Settle(moved, hole);
        }
    }

    /// <summary>Finds the place anew of one that is in it and whose order has changed.</summary>
    public void Reorder(T entry) => Settle(entry, entry.HeapIndex);

    /// <summary>Empties the heap.</summary>
    public void Clear()
    {
        Array.Clear(_entries);
        Count = 0;
    }

    /// <summary>Whether each knows its place and none comes before its parent.</summary>
    public bool IsOrdered()
    {
        for (var i = 0; i < Count; i++)
        {
            if (_entries[i].HeapIndex != i || (i > 0 && _entries[i].ComesBefore(_entries[(i - 1) / 2])))
            {
                return false;
            }
        }

        return true;
    }

    private void Settle(T entry, int index)
    {
        SiftDown(entry, index);
        if (entry.HeapIndex == index)
        {
            SiftUp(entry, index);
        }
    }

    private void SiftUp(T entry, int index)
    {
        for (; index > 0 && entry.ComesBefore(_entries[(index - 1) / 2]); index = (index - 1) / 2)
        {
            Place(_entries[(index - 1) / 2], index);
        }

        Place(entry, index);
    }

    private void SiftDown(T entry, int index)
    {
        for (var child = (2 * index) + 1; child < Count; child = (2 * index) + 1)
        {
            if (child + 1 < Count && _entries[child + 1].ComesBefore(_entries[child]))
            {
                child++;
            }

            if (!_entries[child].ComesBefore(entry))
            {
                break;
            }

            Place(_entries[child], index);
            index = child;
        }

        Place(entry, index);
    }

    private void Place(T entry, int index)
    {
        _entries[index] = entry;
        entry.HeapIndex = index;
    }
}
