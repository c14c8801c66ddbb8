using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Memory;

/// <summary>What touching memory ahead does to it: nothing but give it pages.</summary>
public sealed unsafe class FirstTouchTests
{
    private static readonly AttentionShape Attention = new(4, 2, 64, 1f, 0);

    [Theory]
    [InlineData(0)]
    [InlineData(60)]
    public void What_the_memory_holds_stays(int seconds)
    {
        using var arena = new ActivationArena(3 << 20);
        using var blocks = new NativeBuffer(KvCache.BytesFor(ElementType.BFloat16, 3, 500, 16, Attention));
        var cache = new KvCache(blocks, ElementType.BFloat16, 3, 500, 16, Attention);
        for (var i = 0L; i < arena.Bytes; i += 4099)
        {
            arena.Start[i] = (byte)i;
        }

        for (var i = 0L; i < blocks.Bytes; i += 4099)
        {
            blocks.Pointer[i] = (byte)i;
        }

        FirstTouch.Run(arena, cache, TimeSpan.FromSeconds(seconds));
        for (var i = 0L; i < arena.Bytes; i += 4099)
        {
            Assert.Equal((byte)i, arena.Start[i]);
        }

        for (var i = 0L; i < blocks.Bytes; i += 4099)
        {
            Assert.Equal((byte)i, blocks.Pointer[i]);
        }
    }

    [Fact]
    public void A_pool_s_bytes_are_those_it_was_planned_with()
    {
        using var blocks = new NativeBuffer(KvCache.BytesFor(ElementType.Int8, 3, 7, 16, Attention));
        Assert.Equal(blocks.Bytes, new KvCache(blocks, ElementType.Int8, 3, 7, 16, Attention).Bytes);
    }
}
