using System.Buffers;
using System.Numerics;

namespace ModelServe.Codec.Merging;

/// <summary>Applies merges to a run of symbols: always the lowest rank, the leftmost among equals, until none is left.</summary>
internal static class SymbolMerger
{
    /// <summary>Longest run that is done by scanning for the least rank; a heap is faster above.</summary>
    public const int ScanLimit = 96;

    /// <summary>Merges in place; gives the number of symbols left at the front of <paramref name="ids"/>.</summary>
    public static int Merge(MergeTable merges, Span<int> ids) => ids.Length switch
    {
        < 2 => ids.Length,
        <= ScanLimit => MergeByScan(merges, ids),
        _ => MergeByHeap(merges, ids),
    };

    /// <summary>O(n²) with a small constant; for runs up to <see cref="ScanLimit"/>.</summary>
    internal static int MergeByScan(MergeTable merges, Span<int> ids)
    {
        int count = ids.Length;
        Span<long> pairs = stackalloc long[ScanLimit];
        for (int index = 0; index + 1 < count; index++)
        {
            pairs[index] = merges.Find(ids[index], ids[index + 1]);
        }
        while (count > 1)
        {
            long least = Least(pairs[..(count - 1)]);
            if (least == MergeTable.None)
            {
                break;
            }
            int best = pairs.IndexOf(least);
            ids[best] = (int)least;
            ids[(best + 2)..count].CopyTo(ids[(best + 1)..]);
            pairs[(best + 1)..(count - 1)].CopyTo(pairs[best..]);
            count--;
            if (best + 1 < count)
            {
                pairs[best] = merges.Find(ids[best], ids[best + 1]);
            }
            if (best > 0)
            {
                pairs[best - 1] = merges.Find(ids[best - 1], ids[best]);
            }
        }
        return count;
    }

    /// <summary>The least of some pairs.</summary>
    private static long Least(ReadOnlySpan<long> pairs)
    {
        long least = pairs[0];
        int index = 1;
        if (pairs.Length >= Vector<long>.Count)
        {
            var lanes = new Vector<long>(pairs);
            for (index = Vector<long>.Count; index + Vector<long>.Count <= pairs.Length; index += Vector<long>.Count)
            {
                lanes = Vector.Min(lanes, new Vector<long>(pairs[index..]));
            }
            for (int lane = 0; lane < Vector<long>.Count; lane++)
            {
                least = Math.Min(least, lanes[lane]);
            }
        }
        for (; index < pairs.Length; index++)
        {
            least = Math.Min(least, pairs[index]);
        }
        return least;
    }

    /// <summary>O(n log n); for runs of any length.</summary>
    internal static int MergeByHeap(MergeTable merges, Span<int> ids)
    {
        int count = ids.Length;
        int[] links = ArrayPool<int>.Shared.Rent(count * 2);
        long[] pairs = ArrayPool<long>.Shared.Rent(count);
        Span<int> previous = links.AsSpan(0, count);
        Span<int> next = links.AsSpan(count, count);
        var heap = new MergeHeap(count);
        for (int index = 0; index < count; index++)
        {
            previous[index] = index - 1;
            next[index] = index + 1 < count ? index + 1 : -1;
            pairs[index] = index + 1 < count ? merges.Find(ids[index], ids[index + 1]) : MergeTable.None;
            if (pairs[index] != MergeTable.None)
            {
                heap.Push(pairs[index], index);
            }
        }
        while (heap.TryPop(out int rank, out int position))
        {
            // An entry is stale when the pair at its position has changed since; a dead symbol holds no pair at all.
            if (pairs[position] == MergeTable.None || (int)(pairs[position] >> 32) != rank)
            {
                continue;
            }
            ids[position] = (int)pairs[position];
            int gone = next[position];
            int following = next[gone];
            pairs[gone] = MergeTable.None;
            next[position] = following;
            if (following >= 0)
            {
                previous[following] = position;
            }
            Renew(merges, ids, pairs, ref heap, position, following);
            if (previous[position] >= 0)
            {
                Renew(merges, ids, pairs, ref heap, previous[position], position);
            }
        }
        int kept = 0;
        for (int index = 0; index >= 0; index = next[index])
        {
            ids[kept++] = ids[index];
        }
        heap.Dispose();
        ArrayPool<long>.Shared.Return(pairs);
        ArrayPool<int>.Shared.Return(links);
        return kept;
    }

    private static void Renew(MergeTable merges, Span<int> ids, long[] pairs, ref MergeHeap heap, int left, int right)
    {
        long merge = right >= 0 ? merges.Find(ids[left], ids[right]) : MergeTable.None;
        pairs[left] = merge;
        if (merge != MergeTable.None)
        {
            heap.Push(merge, left);
        }
    }
}
