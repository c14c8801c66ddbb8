using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Blocks;

/// <summary>The blocks of every running sequence: the one place that rents, shares and returns them.</summary>
/// <remarks>
/// Row s of the table lists the blocks of the sequence in slot s, in order of position; while it runs its row only grows.
/// Blocks of a sequence are returned last first, so that the tail of a cached prefix is overwritten before its head.
/// Allocates nothing after construction. Thread: engine thread only.
/// </remarks>
internal sealed class BlockLedger
{
    private readonly int[] _table;
    private readonly int[] _hits;
    private readonly int _stride;
    private readonly int _blockTokens;

    /// <summary>Makes the ledger of one executor's blocks.</summary>
    /// <param name="geometry">Sizes.</param>
    /// <param name="prefixKey">Secret of the prefix index; null keeps no index.</param>
    /// <param name="eventCapacity">Changes of the index that are kept for readers; 0 keeps none.</param>
    public BlockLedger(ExecutorGeometry geometry, UInt128? prefixKey, int eventCapacity = 0)
    {
        _blockTokens = geometry.BlockTokens;
        _stride = geometry.MaxBlocksPerSequence;
        _table = new int[geometry.MaxSequences * _stride];
        _hits = new int[_stride];
        Pool = new BlockPool(geometry.BlockCount);
        Events = prefixKey is not null && eventCapacity > 0 ? new KvEventLog(eventCapacity, geometry.BlockTokens) : null;
        Index = prefixKey is { } key ? new PrefixIndex(geometry.BlockCount, geometry.BlockTokens, key, Events) : null;
    }

    /// <summary>Free, quarantined and referenced blocks.</summary>
    public BlockPool Pool { get; }

    /// <summary>Cached prefixes; null when they are switched off.</summary>
    public PrefixIndex? Index { get; }

    /// <summary>Changes of the index; null where none are kept.</summary>
    public KvEventLog? Events { get; }

    /// <summary>Blocks that hold that many tokens.</summary>
    public int BlocksFor(int tokens) => (tokens + _blockTokens - 1) / _blockTokens;

    /// <summary>The blocks of a running sequence.</summary>
    public ReadOnlySpan<int> Row(Sequence sequence) => _table.AsSpan(sequence.Slot * _stride, sequence.BlockCount);

    /// <summary>Gives a sequence, whose slot is set, cached blocks of its prefix and new ones for all its known tokens; or none.</summary>
    /// <param name="sequence">A waiting sequence.</param>
    /// <param name="reserve">Blocks that must stay free beyond these.</param>
    /// <returns>Whether it got them; its computed tokens then count the hit, which leaves at least one to compute.</returns>
    public bool TryStart(Sequence sequence, int reserve)
    {
        var needed = BlocksFor(sequence.Known);
        var hits = FindHits(sequence, out var chain, out var revived);
        if (needed - hits + revived + reserve > Pool.FreeCount)
        {
            return false;
        }

        var row = _table.AsSpan(sequence.Slot * _stride, _stride);
        for (var i = 0; i < hits; i++)
        {
            Pool.Share(_hits[i]);
            row[i] = _hits[i];
        }

        sequence.BlockCount = sequence.ChainedBlocks = hits;
        sequence.Chain = chain;
        sequence.Computed = sequence.Settled = hits * _blockTokens;
        RentUpTo(sequence, needed);
        return true;
    }

    /// <summary>Blocks missing before a running sequence can hold that many positions.</summary>
    public int Missing(Sequence sequence, int positions) => Math.Max(0, BlocksFor(positions) - sequence.BlockCount);

    /// <summary>Extends the row of a running sequence to that many positions, wholly or not at all.</summary>
    public bool TryGrow(Sequence sequence, int positions)
    {
        if (Missing(sequence, positions) > Pool.FreeCount)
        {
            return false;
        }

        RentUpTo(sequence, BlocksFor(positions));
        return true;
    }

    /// <summary>Enters the blocks that settled steps have filled into the prefix index.</summary>
    public void EnterSettled(Sequence sequence)
    {
        if (Index is null || sequence.Request.BypassPrefixCache)
        {
            return;
        }

        var row = Row(sequence);
        var chain = sequence.Chain;
        while ((sequence.ChainedBlocks + 1) * _blockTokens <= sequence.Settled)
        {
            var tokens = sequence.Output.Tokens.Span.Slice(sequence.ChainedBlocks * _blockTokens, _blockTokens);
            if (Index.Enter(ref chain, tokens, row[sequence.ChainedBlocks]))
            {
                Pool.MarkCached(row[sequence.ChainedBlocks]);
            }

            sequence.ChainedBlocks++;
        }

        sequence.Chain = chain;
    }

    /// <summary>Gives all blocks of a sequence back; they are rented again only after its last step has retired.</summary>
    public void Release(Sequence sequence)
    {
        var row = Row(sequence);
        for (var i = row.Length - 1; i >= 0; i--)
        {
            Pool.Return(row[i], sequence.LastStep);
        }

        sequence.BlockCount = sequence.ChainedBlocks = 0;
    }

    /// <summary>Leading blocks that another sequence holds too, which preemption would neither free nor lose.</summary>
    public int SharedBlocks(Sequence sequence)
    {
        var shared = 0;
        foreach (var block in Row(sequence))
        {
            if (Pool.References(block) == 1)
            {
                break;
            }

            shared++;
        }

        return shared;
    }

    /// <summary>Forgets every cached prefix; sequences keep their blocks.</summary>
    /// <returns>How many blocks were entered.</returns>
    public int ForgetPrefixes()
    {
        if (Index is null)
        {
            return 0;
        }

        var entered = Index.Count;
        Pool.ForgetCached();
        Index.Clear();
        return entered;
    }

    /// <summary>Frees every block and forgets every prefix; only while no sequence runs and no step is in flight.</summary>
    public void Rebuild()
    {
        Pool.Reset();
        Index?.Clear();
    }

    private int FindHits(Sequence sequence, out PrefixChain chain, out int revived)
    {
        chain = PrefixIndex.Root(sequence.Request.CacheSalt);
        revived = 0;
        if (Index is null || sequence.Request.BypassPrefixCache)
        {
            return 0;
        }

        var tokens = sequence.Output.Tokens.Span;
        var limit = Math.Min(tokens.Length - 1, sequence.Skippable) / _blockTokens;
        for (var hits = 0; hits < limit; hits++)
        {
            var block = Index.Find(ref chain, tokens.Slice(hits * _blockTokens, _blockTokens));
            if (block == 0)
            {
                return hits;
            }

            _hits[hits] = block;
            revived += Pool.IsFree(block) ? 1 : 0;
        }

        return limit;
    }

    private void RentUpTo(Sequence sequence, int blocks)
    {
        var row = sequence.Slot * _stride;
        while (sequence.BlockCount < blocks)
        {
            var block = Pool.Rent(out var wasCached);
            if (wasCached)
            {
                Index!.Remove(block);
            }

            _table[row + sequence.BlockCount++] = block;
        }
    }
}
