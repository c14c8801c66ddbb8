using System.Buffers;

namespace ModelServe.Codec.Merging;

/// <summary>A binary heap of (rank, position) that gives the lowest rank first and the leftmost among equals.</summary>
internal ref struct MergeHeap
{
    private ulong[] _entries;
    private int _count;

    /// <summary>An empty heap that rents its storage; <see cref="Dispose"/> gives it back.</summary>
    public MergeHeap(int capacity)
    {
        _entries = ArrayPool<ulong>.Shared.Rent(capacity);
        _count = 0;
    }

    /// <summary>Adds a merge that may be done at a position.</summary>
    /// <param name="merge">As <see cref="MergeTable.Find"/> gives it.</param>
    /// <param name="position">Index of the left symbol.</param>
    public void Push(long merge, int position)
    {
        if (_count == _entries.Length)
        {
            ulong[] larger = ArrayPool<ulong>.Shared.Rent(_count * 2);
            _entries.AsSpan(0, _count).CopyTo(larger);
            ArrayPool<ulong>.Shared.Return(_entries);
            _entries = larger;
        }
        ulong entry = (ulong)(merge >> 32 << 32) | (uint)position;
        int index = _count++;
        while (index > 0)
        {
            int parent = (index - 1) / 2;
            if (_entries[parent] <= entry)
            {
                break;
            }
            _entries[index] = _entries[parent];
            index = parent;
        }
        _entries[index] = entry;
    }

    /// <summary>Takes the first entry; false where none is left.</summary>
    public bool TryPop(out int rank, out int position)
    {
        if (_count == 0)
        {
            rank = position = 0;
            return false;
        }
        ulong top = _entries[0];
        rank = (int)(top >> 32);
        position = (int)(uint)top;
        ulong moved = _entries[--_count];
        int index = 0;
        while (true)
        {
            int child = (index * 2) + 1;
            if (child >= _count)
            {
                break;
            }
            if (child + 1 < _count && _entries[child + 1] < _entries[child])
            {
                child++;
            }
            if (_entries[child] >= moved)
            {
                break;
            }
            _entries[index] = _entries[child];
            index = child;
        }
        _entries[index] = moved;
        return true;
    }

    /// <summary>Gives the storage back.</summary>
    public readonly void Dispose() => ArrayPool<ulong>.Shared.Return(_entries);
}
