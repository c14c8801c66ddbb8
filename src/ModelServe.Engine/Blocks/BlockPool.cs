namespace ModelServe.Engine.Blocks;

/// <summary>Who may use which key-value block: every block but the null block is referenced, in quarantine or free, never two of them.</summary>
/// <remarks>
/// Rent, share, return and revive are O(1) (a return is, with up to two steps in flight) and allocate nothing: both lists are doubly linked through arrays, with the null
/// block 0 as head of the free list and one entry past the last block as head of the quarantine.
/// The free list is in order of eviction: blocks without cached content first, then cached ones, least recently returned first.
/// A block whose last user may still be written by a step in flight sits in quarantine until that step retires; its cached
/// content may be shared meanwhile, because content is cached only after the step that wrote it has retired.
/// Thread: engine thread only.
/// </remarks>
internal sealed class BlockPool
{
    private const int FreeHead = 0;

    private readonly int _quarantineHead;
    private readonly int[] _references;
    private readonly int[] _previous;
    private readonly int[] _next;
    private readonly long[] _lastStep;
    private readonly bool[] _cached;

    /// <summary>Makes a pool whose blocks are all free; <paramref name="blockCount"/> includes the null block.</summary>
    public BlockPool(int blockCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 2);
        BlockCount = blockCount;
        _quarantineHead = blockCount;
        _references = new int[blockCount];
        _previous = new int[blockCount + 1];
        _next = new int[blockCount + 1];
        _lastStep = new long[blockCount];
        _cached = new bool[blockCount];
        Reset();
    }

    /// <summary>Blocks, with the null block.</summary>
    public int BlockCount { get; }

    /// <summary>Blocks that <see cref="Rent"/> can give.</summary>
    public int FreeCount { get; private set; }

    /// <summary>Blocks that become free when the steps in flight retire.</summary>
    public int QuarantinedCount { get; private set; }

    /// <summary>Blocks with at least one reference.</summary>
    public int InUseCount => BlockCount - 1 - FreeCount - QuarantinedCount;

    /// <summary>The newest step whose writes are all done.</summary>
    public long RetiredStep { get; private set; }

    /// <summary>Frees everything, as at start; cached marks are gone.</summary>
    public void Reset()
    {
        Array.Clear(_references);
        Array.Clear(_lastStep);
        Array.Clear(_cached);
        _next[_quarantineHead] = _previous[_quarantineHead] = _quarantineHead;
        for (var block = 0; block < BlockCount; block++)
        {
            _next[block] = block + 1 == BlockCount ? FreeHead : block + 1;
            _previous[block] = block == 0 ? BlockCount - 1 : block - 1;
        }

        FreeCount = BlockCount - 1;
        QuarantinedCount = 0;
    }

    /// <summary>Takes the block whose content is worth least; the caller holds its only reference.</summary>
    /// <param name="wasCached">Whether the block held cached content, which the caller must forget now.</param>
    /// <exception cref="InvalidOperationException">No block is free.</exception>
    public int Rent(out bool wasCached)
    {
        var block = _next[FreeHead];
        if (block == FreeHead)
        {
            throw new InvalidOperationException($"no key-value block is free of {BlockCount - 1}");
        }

        Unlink(block);
        FreeCount--;
        wasCached = _cached[block];
        _cached[block] = false;
        _references[block] = 1;
        _lastStep[block] = 0;
        return block;
    }

    /// <summary>Adds a reference to a block in use, or revives a free or quarantined one with its content.</summary>
    public void Share(int block)
    {
        if (_references[block]++ > 0)
        {
            return;
        }

        Unlink(block);
        if (_lastStep[block] > RetiredStep)
        {
            QuarantinedCount--;
        }
        else
        {
            FreeCount--;
        }
    }

    /// <summary>Gives one reference back; the last one frees the block once <paramref name="lastStep"/> has retired.</summary>
    /// <param name="block">A referenced block.</param>
    /// <param name="lastStep">The newest step that may read or write the block for this reference.</param>
    public void Return(int block, long lastStep)
    {
        if (_references[block] <= 0)
        {
            throw new InvalidOperationException($"block {block} was returned more often than it was rented");
        }

        _lastStep[block] = Math.Max(_lastStep[block], lastStep);
        if (--_references[block] > 0)
        {
            return;
        }

        if (_lastStep[block] > RetiredStep)
        {
            LinkBefore(PlaceInQuarantine(_lastStep[block]), block);
            QuarantinedCount++;
        }
        else
        {
            LinkFree(block);
        }
    }

    /// <summary>Records that a step's writes are done and frees the blocks that waited for it.</summary>
    public void Retire(long step)
    {
        RetiredStep = step;
        for (var block = _next[_quarantineHead]; block != _quarantineHead && _lastStep[block] <= step;)
        {
            var following = _next[block];
            Unlink(block);
            QuarantinedCount--;
            LinkFree(block);
            block = following;
        }
    }

    /// <summary>Notes that the block holds content worth keeping while it is free.</summary>
    public void MarkCached(int block) => _cached[block] = true;

    /// <summary>Notes that no block holds content worth keeping any more; the order of eviction stays.</summary>
    public void ForgetCached() => Array.Clear(_cached);

    /// <summary>Whether the block holds cached content.</summary>
    public bool IsCached(int block) => _cached[block];

    /// <summary>References to a block.</summary>
    public int References(int block) => _references[block];

    /// <summary>Whether taking a reference would take the block out of the free list.</summary>
    public bool IsFree(int block) => _references[block] == 0 && _lastStep[block] <= RetiredStep;

    /// <summary>Walks both lists and compares them with the counts.</summary>
    /// <returns>What is wrong, or null.</returns>
    public string? FindViolation()
    {
        var free = Length(FreeHead, false);
        var quarantined = Length(_quarantineHead, true);
        var referenced = 0;
        for (var block = 1; block < BlockCount; block++)
        {
            referenced += _references[block] > 0 ? 1 : 0;
        }

        return free != FreeCount ? $"free list holds {free} blocks, counted {FreeCount}"
            : quarantined != QuarantinedCount ? $"quarantine holds {quarantined} blocks, counted {QuarantinedCount}"
            : free + quarantined + referenced != BlockCount - 1
                ? $"{free} free + {quarantined} quarantined + {referenced} referenced blocks are not {BlockCount - 1}"
            : _references[0] != 0 ? "the null block is referenced"
            : null;
    }

    private int Length(int head, bool quarantined)
    {
        var count = 0;
        for (var block = _next[head]; block != head; block = _next[block])
        {
            var misplaced = _references[block] != 0 || _previous[_next[block]] != block
                || (_lastStep[block] > RetiredStep) != quarantined;
            if (misplaced || ++count > BlockCount)
            {
                return -1;
            }
        }

        return count;
    }

    // The quarantine is in order of the steps waited for. With up to two steps in flight a return always belongs at the end; with
    // more, a sequence that sat out the newest step may be returned after one that did not.
    private int PlaceInQuarantine(long lastStep)
    {
        var successor = _quarantineHead;
        while (_previous[successor] != _quarantineHead && _lastStep[_previous[successor]] > lastStep)
        {
            successor = _previous[successor];
        }

        return successor;
    }

    private void LinkFree(int block)
    {
        // Content that nobody can find again is overwritten before content that a later prompt may hit.
        LinkBefore(_cached[block] ? FreeHead : _next[FreeHead], block);
        FreeCount++;
    }

    private void LinkBefore(int successor, int block)
    {
        var predecessor = _previous[successor];
        _next[predecessor] = block;
        _previous[block] = predecessor;
        _next[block] = successor;
        _previous[successor] = block;
    }

    private void Unlink(int block)
    {
        _next[_previous[block]] = _next[block];
        _previous[_next[block]] = _previous[block];
    }
}
