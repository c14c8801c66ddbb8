using CsCheck;
using ModelServe.Engine.Blocks;

namespace ModelServe.Engine.Tests.Blocks;

public sealed class BlockPoolTests
{
    private enum Kind
    {
        Rent,
        Share,
        Return,
        Retire,
        Mark,
    }

    [Fact]
    public void A_block_is_rented_once()
    {
        var pool = new BlockPool(9);
        var rented = Enumerable.Range(0, 8).Select(_ => pool.Rent(out var _)).ToList();
        Assert.Equal(8, rented.Distinct().Count());
        Assert.Equal(0, pool.FreeCount);
    }

    [Fact]
    public void The_null_block_is_never_rented()
    {
        var pool = new BlockPool(5);
        for (var i = 0; i < 4; i++)
        {
            Assert.NotEqual(0, pool.Rent(out _));
        }

        Assert.Throws<InvalidOperationException>(() => pool.Rent(out _));
    }

    [Fact]
    public void A_block_without_cached_content_is_taken_before_one_with()
    {
        var pool = new BlockPool(3);
        var cached = pool.Rent(out _);
        var plain = pool.Rent(out _);
        pool.MarkCached(cached);
        pool.Return(cached, 0);
        pool.Return(plain, 0);
        Assert.Equal(plain, pool.Rent(out var wasCached));
        Assert.False(wasCached);
        Assert.Equal(cached, pool.Rent(out wasCached));
        Assert.True(wasCached);
    }

    [Fact]
    public void Of_cached_blocks_the_one_returned_longest_ago_is_taken_first()
    {
        var pool = new BlockPool(4);
        var blocks = Enumerable.Range(0, 3).Select(_ => pool.Rent(out var _)).ToList();
        blocks.ForEach(pool.MarkCached);
        foreach (var index in new[] { 2, 0, 1 })
        {
            pool.Return(blocks[index], 0);
        }

        Assert.Equal([blocks[2], blocks[0], blocks[1]], Enumerable.Range(0, 3).Select(_ => pool.Rent(out var _)));
    }

    [Fact]
    public void A_block_that_waits_for_an_older_step_comes_free_before_one_returned_earlier()
    {
        var pool = new BlockPool(4);
        var newer = pool.Rent(out _);
        var older = pool.Rent(out _);
        pool.Return(newer, 5);
        pool.Return(older, 4);
        pool.Retire(4);
        Assert.Null(pool.FindViolation());
        Assert.Equal((2, 1), (pool.FreeCount, pool.QuarantinedCount));
        Assert.True(pool.IsFree(older));
        pool.Retire(5);
        Assert.Equal((3, 0), (pool.FreeCount, pool.QuarantinedCount));
    }

    [Fact]
    public void A_block_that_a_step_in_flight_may_write_is_not_rented_before_it_retires()
    {
        var pool = new BlockPool(2);
        var block = pool.Rent(out _);
        pool.Return(block, 5);
        Assert.Equal((0, 1), (pool.FreeCount, pool.QuarantinedCount));
        pool.Retire(4);
        Assert.Equal(0, pool.FreeCount);
        pool.Retire(5);
        Assert.Equal(block, pool.Rent(out _));
    }

    [Fact]
    public void A_quarantined_block_can_be_revived_with_its_content()
    {
        var pool = new BlockPool(2);
        var block = pool.Rent(out _);
        pool.MarkCached(block);
        pool.Return(block, 5);
        pool.Share(block);
        pool.Retire(5);
        Assert.Equal((0, 0, 1), (pool.FreeCount, pool.QuarantinedCount, pool.InUseCount));
        Assert.True(pool.IsCached(block));
    }

    [Fact]
    public void Returning_a_block_twice_is_an_error()
    {
        var pool = new BlockPool(2);
        var block = pool.Rent(out _);
        pool.Return(block, 0);
        Assert.Throws<InvalidOperationException>(() => pool.Return(block, 0));
    }

    [Fact]
    public void Random_operations_agree_with_a_model_that_keeps_plain_lists() =>
        Gen.Select(Gen.Enum<Kind>(), Gen.Int[0, 1000]).Array[0, 120].Sample(Play, iter: 2_000);

    private static void Play((Kind Kind, int Choice)[] operations)
    {
        var pool = new BlockPool(9);
        var model = new Model(8);
        foreach (var (kind, choice) in operations)
        {
            switch (kind)
            {
                case Kind.Rent when pool.FreeCount > 0:
                    Assert.Equal(model.Rent(), (pool.Rent(out var wasCached), wasCached));
                    break;
                case Kind.Share when model.Shareable(choice) is { } block:
                    pool.Share(block);
                    model.Share(block);
                    break;
                case Kind.Return when model.Referenced(choice) is { } block:
                    pool.Return(block, model.Submitted);
                    model.Return(block);
                    break;
                case Kind.Retire:
                    pool.Retire(model.Retire());
                    break;
                case Kind.Mark when model.Referenced(choice) is { } block:
                    pool.MarkCached(block);
                    model.Cached.Add(block);
                    break;
            }

            Assert.Null(pool.FindViolation());
            Assert.Equal(model.Free.Count, pool.FreeCount);
            Assert.Equal(model.Quarantine.Count, pool.QuarantinedCount);
            Assert.Equal(model.References.Count, pool.InUseCount);
        }
    }

    /// <summary>The pool's rules in plain collections: what a reader would write first.</summary>
    private sealed class Model(int blocks)
    {
        private long _retired;

        public List<int> Free { get; } = [.. Enumerable.Range(1, blocks)];

        public List<(int Block, long Step)> Quarantine { get; } = [];

        public SortedDictionary<int, int> References { get; } = [];

        public HashSet<int> Cached { get; } = [];

        public long Submitted { get; private set; } = 1;

        public (int Block, bool WasCached) Rent()
        {
            var block = Free[0];
            Free.RemoveAt(0);
            References[block] = 1;
            return (block, Cached.Remove(block));
        }

        public int? Referenced(int choice) =>
            References.Count == 0 ? null : References.Keys.ElementAt(choice % References.Count);

        public int? Shareable(int choice)
        {
            int[] candidates = [.. References.Keys, .. Free.Where(Cached.Contains), .. Quarantine.Select(entry => entry.Block).Where(Cached.Contains)];
            return candidates.Length == 0 ? null : candidates[choice % candidates.Length];
        }

        public void Share(int block)
        {
            References[block] = References.GetValueOrDefault(block) + 1;
            Free.Remove(block);
            Quarantine.RemoveAll(entry => entry.Block == block);
        }

        public void Return(int block)
        {
            if (--References[block] > 0)
            {
                return;
            }

            References.Remove(block);
            Quarantine.Add((block, Submitted));
        }

        public long Retire()
        {
            _retired = Submitted++;
            foreach (var (block, step) in Quarantine.Where(entry => entry.Step <= _retired).ToList())
            {
                Free.Insert(Cached.Contains(block) ? Free.Count : 0, block);
            }

            Quarantine.RemoveAll(entry => entry.Step <= _retired);
            return _retired;
        }
    }
}
