namespace ModelServe.Engine.Planning;

/// <summary>Sequences without a slot, the next to run on top: higher priority first, then earlier arrival.</summary>
/// <remarks>
/// A preempted sequence arrived before all of its class that never ran, so it stands in front of them by the same order.
/// Binary heap in one array; each sequence knows its place, so that any one leaves in O(log n). Thread: engine thread only.
/// </remarks>
internal sealed class WaitingQueue
{
    private Sequence[] _heap;

    /// <summary>Makes an empty queue with room for that many before it grows.</summary>
    public WaitingQueue(int capacity) => _heap = new Sequence[Math.Max(4, capacity)];

    /// <summary>Sequences in it.</summary>
    public int Count { get; private set; }

    /// <summary>The next to run, or null.</summary>
    public Sequence? First => Count > 0 ? _heap[0] : null;

    /// <summary>All of them, in no useful order; invalid after the next change.</summary>
    public ReadOnlySpan<Sequence> All => _heap.AsSpan(0, Count);

    /// <summary>Adds one.</summary>
    public void Add(Sequence sequence)
    {
        if (Count == _heap.Length)
        {
            Array.Resize(ref _heap, Count * 2);
        }

        SiftUp(sequence, Count++);
    }

    /// <summary>Removes one that is in it.</summary>
    public void Remove(Sequence sequence)
    {
        var hole = sequence.HeapIndex;
        sequence.HeapIndex = -1;
        var moved = _heap[--Count];
        _heap[Count] = null!;
        if (hole == Count)
        {
            return;
        }

        SiftDown(moved, hole);
        if (moved.HeapIndex == hole)
        {
            SiftUp(moved, hole);
        }
    }

    /// <summary>Empties the queue.</summary>
    public void Clear()
    {
        Array.Clear(_heap);
        Count = 0;
    }

    /// <summary>Whether each knows its place and none precedes its parent.</summary>
    public bool IsOrdered()
    {
        for (var i = 0; i < Count; i++)
        {
            if (_heap[i].HeapIndex != i || (i > 0 && _heap[i].Precedes(_heap[(i - 1) / 2])))
            {
                return false;
            }
        }

        return true;
    }

    private void SiftUp(Sequence sequence, int index)
    {
        for (; index > 0 && sequence.Precedes(_heap[(index - 1) / 2]); index = (index - 1) / 2)
        {
            Place(_heap[(index - 1) / 2], index);
        }

        Place(sequence, index);
    }

    private void SiftDown(Sequence sequence, int index)
    {
        for (var child = (2 * index) + 1; child < Count; child = (2 * index) + 1)
        {
            if (child + 1 < Count && _heap[child + 1].Precedes(_heap[child]))
            {
                child++;
            }

            if (!_heap[child].Precedes(sequence))
            {
                break;
            }

            Place(_heap[child], index);
            index = child;
        }

        Place(sequence, index);
    }

    private void Place(Sequence sequence, int index)
    {
        _heap[index] = sequence;
        sequence.HeapIndex = index;
    }
}
