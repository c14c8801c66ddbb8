using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>Shares of a run of units, taken from the front by their owners and from the back by others.</summary>
public sealed unsafe class PartSharesTests
{
    [Fact]
    public void An_owner_takes_its_share_in_order_and_then_the_others_last_ones()
    {
        using var memory = new NativeBuffer(PartShares.BytesFor(2));
        PartShares shares = default;
        shares.Begin(memory.Pointer, 7, 2);
        List<(int Unit, bool Follows)> taken = [];
        while (shares.TryTake(0, out var unit, out var follows))
        {
            taken.Add((unit, follows));
        }

        Assert.Equal([(0, true), (1, true), (2, false), (6, false), (5, false), (4, false), (3, false)], taken);
    }

    [Fact]
    public void Every_unit_is_given_out_once_however_many_take()
    {
        const int Units = 10_000, Threads = 4;
        using var memory = new NativeBuffer(PartShares.BytesFor(Threads));
        var counts = new int[Units];
        using var pool = new ForkJoinPool(Threads);
        fixed (int* target = counts)
        {
            Counting counting;
            counting.Counts = target;
            counting.Shares = default;
            counting.Shares.Begin(memory.Pointer, Units, Threads);
            pool.RunShares(&Take, &counting, Threads, Units);
        }

        Assert.All(counts, count => Assert.Equal(1, count));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 3)]
    [InlineData(100, 7)]
    public void Shares_follow_each_other_and_are_even(int units, int shares)
    {
        Assert.Equal(0, PartShares.First(units, 0, shares));
        Assert.Equal(units, PartShares.First(units, shares, shares));
        for (var share = 0; share < shares; share++)
        {
            Assert.InRange(PartShares.First(units, share + 1, shares) - PartShares.First(units, share, shares), units / shares, (units + shares - 1) / shares);
        }
    }

    private static void Take(void* context, int part, int parts)
    {
        var counting = (Counting*)context;
        while (counting->Shares.TryTake(part, out var unit, out _))
        {
            Interlocked.Increment(ref counting->Counts[unit]);
        }
    }

    private struct Counting
    {
        public int* Counts;
        public PartShares Shares;
    }
}
