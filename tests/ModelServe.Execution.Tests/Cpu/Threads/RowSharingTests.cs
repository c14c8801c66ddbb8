using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>Rows of managed work on the threads of a pool.</summary>
public sealed class RowSharingTests
{
    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 1)]
    [InlineData(2, 33)]
    [InlineData(4, 3)]
    [InlineData(4, 200)]
    public void Every_row_is_done_once_in_every_call_and_by_one_of_the_threads(int threads, int rows)
    {
        using var pool = new ForkJoinPool(threads);
        using var sharing = new RowSharing(pool);
        var work = new Counting(rows, threads);
        for (var call = 1; call <= 300; call++)
        {
            sharing.Run(work, rows);
            Assert.All(work.Rows, count => Assert.Equal(call, count));
        }

        Assert.Equal(300 * rows, work.Threads.Sum());
    }

    [Fact]
    public void What_a_row_throws_reaches_the_caller_and_the_next_call_is_whole()
    {
        using var pool = new ForkJoinPool(3);
        using var sharing = new RowSharing(pool);
        for (var row = 0; row < 7; row++)
        {
            var work = new Counting(7, 3) { Throws = row };
            Assert.Equal($"row {row}", Assert.Throws<InvalidOperationException>(() => sharing.Run(work, 7)).Message);
            work.Throws = -1;
            Array.Clear(work.Rows);
            sharing.Run(work, 7);
            Assert.All(work.Rows, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void A_call_allocates_nothing()
    {
        using var pool = new ForkJoinPool(2);
        using var sharing = new RowSharing(pool);
        var work = new Counting(16, 2);
        sharing.Run(work, 16);
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var call = 0; call < 200; call++)
            {
                sharing.Run(work, 16);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }));
    }

    [Theory]
    [InlineData(1, 1 << 20)]
    [InlineData(8, 1 << 12)]
    [InlineData(9, 1 << 12)]
    public void Few_rows_and_many_are_done_alike(int rows, int columns)
    {
        using var ops = new CpuOps(new OpsShape(1, 1, 16, 16, 16, 16, new AttentionShape(1, 1, 16, 1f, 0)), 3);
        var work = new Counting(rows, ops.Threads);
        ops.ForEachRow(work, rows, columns);
        Assert.All(work.Rows, count => Assert.Equal(1, count));
    }

    private sealed class Counting(int rows, int threads) : IRowWork
    {
        public int[] Rows { get; } = new int[rows];

        public int[] Threads { get; } = new int[threads];

        public int Throws { get; set; } = -1;

        public void Do(int row, int thread)
        {
            Interlocked.Increment(ref Rows[row]);
            Threads[thread]++;
            if (row == Throws)
            {
                throw new InvalidOperationException($"row {row}");
            }
        }
    }
}
