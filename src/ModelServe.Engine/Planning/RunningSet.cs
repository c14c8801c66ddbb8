namespace ModelServe.Engine.Planning;

/// <summary>Sequences that hold a slot, in the order in which they get tokens: higher priority first, then earlier arrival.</summary>
/// <remarks>A sorted array and a stack of free slots; nothing is allocated after construction. Thread: engine thread only.</remarks>
internal sealed class RunningSet
{
    private readonly Sequence[] _sequences;
    private readonly int[] _freeSlots;
    private int _freeSlotCount;

    /// <summary>Makes an empty set of that many slots.</summary>
    public RunningSet(int slots)
    {
        _sequences = new Sequence[slots];
        _freeSlots = new int[slots];
        Clear();
    }

    /// <summary>Sequences in it.</summary>
    public int Count { get; private set; }

    /// <summary>Slots that nobody holds.</summary>
    public int FreeSlots => _freeSlotCount;

    /// <summary>All of them, in order; invalid after the next change.</summary>
    public ReadOnlySpan<Sequence> All => _sequences.AsSpan(0, Count);

    /// <summary>One of them by its place in the order.</summary>
    public Sequence this[int index] => _sequences[index];

    /// <summary>The slot that the next sequence gets.</summary>
    public int NextSlot => _freeSlots[_freeSlotCount - 1];

    /// <summary>Empties the set and frees every slot.</summary>
    public void Clear()
    {
        Array.Clear(_sequences);
        Count = 0;
        _freeSlotCount = _freeSlots.Length;
        for (var i = 0; i < _freeSlotCount; i++)
        {
            _freeSlots[i] = _freeSlotCount - 1 - i;
        }
    }

    /// <summary>Adds a sequence whose slot is <see cref="NextSlot"/>.</summary>
    public void Add(Sequence sequence)
    {
        _freeSlotCount--;
        var index = Count++;
        for (; index > 0 && sequence.Precedes(_sequences[index - 1]); index--)
        {
            _sequences[index] = _sequences[index - 1];
        }

        _sequences[index] = sequence;
    }

    /// <summary>Removes a sequence and takes its slot back.</summary>
    /// <returns>The place it had.</returns>
    public int Remove(Sequence sequence)
    {
        var low = 0;
        for (var high = Count - 1; low < high;)
        {
            var middle = (low + high) / 2;
            if (_sequences[middle].Precedes(sequence))
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (Count == 0 || !ReferenceEquals(_sequences[low], sequence))
        {
            throw new InvalidOperationException($"request {sequence.Request.RequestId} is not running");
        }

        Array.Copy(_sequences, low + 1, _sequences, low, --Count - low);
        _sequences[Count] = null!;
        _freeSlots[_freeSlotCount++] = sequence.Slot;
        sequence.Slot = -1;
        return low;
    }
}
