using System.Runtime.CompilerServices;

namespace ModelServe.Codec.Merging;

/// <summary>The merges of a BPE model on ids: (left, right) → (rank, merged id). Open addressing; immutable once filled.</summary>
internal sealed class MergeTable
{
    /// <summary>What <see cref="Find"/> gives for a pair that does not merge; greater than every merge.</summary>
    public const long None = long.MaxValue;

    private const ulong EmptyKey = ulong.MaxValue;

    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <summary>An empty table for that many merges.</summary>
    public MergeTable(int merges)
    {
        int size = 16;
        while (size < merges * 2)
        {
            size *= 2;
        }
        _shift = 64 - int.TrailingZeroCount(size);
        _slots = new Slot[size];
        Array.Fill(_slots, new Slot(EmptyKey, None));
    }

    /// <summary>Merges in the table.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a merge; a pair given twice keeps the later rank.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(int left, int right, int rank, int merged)
    {
        ulong key = Key(left, right);
        int index = Home(key);
        while (_slots[index].Key != EmptyKey && _slots[index].Key != key)
        {
            index = (index + 1) & (_slots.Length - 1);
        }
        Count += _slots[index].Key == EmptyKey ? 1 : 0;
        _slots[index] = new Slot(key, ((long)rank << 32) | (uint)merged);
    }

    /// <summary>Rank in the upper 32 bits and merged id in the lower, so that the least value is the merge to do first.</summary>
    public long Find(int left, int right)
    {
        Slot[] slots = _slots;
        ulong key = Key(left, right);
        int index = Home(key);
        while (true)
        {
            ref readonly Slot slot = ref slots[index];
            if (slot.Key == key)
            {
                return slot.Merge;
            }
            if (slot.Key == EmptyKey)
            {
                return None;
            }
            index = (index + 1) & (slots.Length - 1);
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Home(ulong key) => (int)((key * 0x9E3779B97F4A7C15UL) >> _shift);

    private readonly record struct Slot(ulong Key, long Merge);
}
