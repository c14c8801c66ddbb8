using CsCheck;
using ModelServe.Engine.Blocks;

namespace ModelServe.Engine.Tests.Blocks;

public sealed class PrefixIndexTests
{
    private const int BlockTokens = 4;

    [Fact]
    public void The_hash_is_SipHash_2_4_128_by_its_published_vectors()
    {
        // Key bytes 00..0f; messages of 0 and 8 bytes 00..07; output bytes as in the reference vectors.
        var key = new UInt128(0x0f0e0d0c0b0a0908, 0x0706050403020100);
        Assert.Equal(new UInt128(0x930255c71472f66d, 0xe6a825ba047f81a3), PrefixHash.Compute(key, []));
    }

    [Fact]
    public void A_block_is_found_after_the_prefix_it_was_entered_with()
    {
        var index = new PrefixIndex(8, BlockTokens, 1);
        var writer = PrefixIndex.Root(0);
        Assert.True(index.Enter(ref writer, [1, 2, 3, 4], 5));
        Assert.True(index.Enter(ref writer, [1, 2, 3, 4], 6));
        var reader = PrefixIndex.Root(0);
        Assert.Equal(5, index.Find(ref reader, [1, 2, 3, 4]));
        Assert.Equal(6, index.Find(ref reader, [1, 2, 3, 4]));
        Assert.Equal(writer, reader);
        Assert.Equal(0, index.Find(ref reader, [1, 2, 3, 4]));
    }

    [Fact]
    public void Another_salt_finds_nothing()
    {
        var index = new PrefixIndex(8, BlockTokens, 1);
        var writer = PrefixIndex.Root(1);
        index.Enter(ref writer, [1, 2, 3, 4], 5);
        var reader = PrefixIndex.Root(2);
        Assert.Equal(0, index.Find(ref reader, [1, 2, 3, 4]));
    }

    [Fact]
    public void Of_two_equal_blocks_the_first_stays_and_the_chain_goes_on_behind_it()
    {
        var index = new PrefixIndex(8, BlockTokens, 1);
        var first = PrefixIndex.Root(0);
        var second = PrefixIndex.Root(0);
        Assert.True(index.Enter(ref first, [1, 2, 3, 4], 5));
        Assert.False(index.Enter(ref second, [1, 2, 3, 4], 6));
        Assert.Equal(first, second);
        Assert.Equal(1, index.Count);
    }

    [Fact]
    public void A_block_whose_parent_was_evicted_is_not_reached_through_a_new_equal_parent()
    {
        var index = new PrefixIndex(8, BlockTokens, 1);
        var writer = PrefixIndex.Root(0);
        index.Enter(ref writer, [1, 2, 3, 4], 5);
        index.Enter(ref writer, [5, 6, 7, 8], 6);
        index.Remove(5);
        var again = PrefixIndex.Root(0);
        index.Enter(ref again, [1, 2, 3, 4], 5);
        Assert.Equal(0, index.Find(ref again, [5, 6, 7, 8]));
    }

    [Fact]
    public void Another_key_gives_another_hash()
    {
        var chain = PrefixIndex.Root(0);
        PrefixHash.Compute(1, chain, [1, 2, 3, 4], out var low, out var high);
        PrefixHash.Compute(2, chain, [1, 2, 3, 4], out var otherLow, out var otherHigh);
        Assert.NotEqual((low, high), (otherLow, otherHigh));
    }

    [Fact]
    public void Removing_a_block_that_is_not_entered_is_an_error() =>
        Assert.Throws<InvalidOperationException>(() => new PrefixIndex(8, BlockTokens, 1).Remove(3));

    [Fact]
    public void Random_entries_and_removals_agree_with_a_dictionary_of_whole_prefixes() =>
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 15], Gen.Int[0, 2].Array[1, 3]).Array[0, 150].Sample(Play, iter: 1_500);

    private static void Play((int Kind, int Block, int[] Path)[] operations)
    {
        var index = new PrefixIndex(16, BlockTokens, 9);
        var model = new Dictionary<string, int>();
        foreach (var (kind, block, path) in operations)
        {
            var entered = model.FirstOrDefault(entry => entry.Value == block).Key;
            if (kind == 0 && entered is not null)
            {
                // Children go first, as in the engine, where a sequence returns its blocks last first.
                foreach (var (key, child) in model.Where(entry => entry.Key.StartsWith(entered, StringComparison.Ordinal)).ToList())
                {
                    index.Remove(child);
                    model.Remove(key);
                }
            }
            else if (kind != 0 && entered is null)
            {
                Walk(index, model, path, block);
            }

            Assert.Equal(model.Count, index.Count);
            Assert.All(model.Values, value => Assert.True(index.Contains(value)));
        }
    }

    private static void Walk(PrefixIndex index, Dictionary<string, int> model, int[] path, int block)
    {
        var chain = PrefixIndex.Root(0);
        var key = "";
        foreach (var step in path)
        {
            key += step;
            int[] tokens = [step, step, 7, 7];
            var found = index.Find(ref chain, tokens);
            Assert.Equal(model.GetValueOrDefault(key), found);
            if (found == 0)
            {
                Assert.True(index.Enter(ref chain, tokens, block));
                model[key] = block;
                return;
            }
        }
    }
}
