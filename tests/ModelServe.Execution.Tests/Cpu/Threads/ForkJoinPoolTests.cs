using ModelServe.Execution.Cpu.Threads;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>The pool under the vector code.</summary>
public sealed unsafe class ForkJoinPoolTests
{
    private const int MaxThreads = 8;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_part_runs_exactly_once_in_every_call(int threads)
    {
        using var pool = new ForkJoinPool(threads);
        var counts = stackalloc int[MaxThreads];
        for (var call = 1; call <= 2000; call++)
        {
            pool.Run(&Count, counts);
            for (var part = 0; part < MaxThreads; part++)
            {
                Assert.Equal(part < threads ? call : 0, counts[part]);
            }
        }
    }

    [Theory]
    [InlineData(1, 8)]
    [InlineData(2, 7)]
    [InlineData(4, 3)]
    public void Any_number_of_parts_runs_exactly_once_each(int threads, int parts)
    {
        using var pool = new ForkJoinPool(threads);
        var counts = stackalloc int[MaxThreads];
        for (var call = 1; call <= 5000; call++)
        {
            pool.Run(&Count, counts, parts);
            for (var part = 0; part < MaxThreads; part++)
            {
                Assert.Equal(part < parts ? call : 0, counts[part]);
            }
        }
    }

    [Fact]
    public void A_thread_has_the_same_part_in_every_call_to_which_all_come()
    {
        const int Two = 2;
        using var pool = new ForkJoinPool(Two);
        var meeting = new Meeting();
        var complete = 0;
        for (var call = 0; call < 5000 && complete < 100; call++)
        {
            meeting.Begun = 0;
            pool.Run(&Meet, &meeting, Two);
            for (var part = 0; part < Two && meeting.All == call + 1; part++)
            {
                Assert.Equal(part == 0, Environment.CurrentManagedThreadId == meeting.Thread[part]);
                Assert.True(complete == 0 || meeting.Thread[part] == meeting.Before[part], $"part {part} of call {call}");
                meeting.Before[part] = meeting.Thread[part];
            }

            complete += meeting.All == call + 1 ? 1 : 0;
            meeting.All = call + 1;
        }

        Assert.InRange(complete, 1, 100);
    }

    [Fact]
    public void Shares_are_taken_by_whoever_comes_and_the_caller_is_thread_0()
    {
        using var pool = new ForkJoinPool(4);
        var counts = stackalloc int[MaxThreads];
        for (var call = 1; call <= 2000; call++)
        {
            pool.RunShares(&CountThread, counts, 3, 30);
            Assert.Equal(call, counts[0]);
            Assert.InRange(counts[1] + counts[2] + counts[3], 0, 2 * call);
        }
    }

    [Fact]
    public void Waiting_threads_do_pieces_until_there_are_no_more_and_begin_again_with_each_offer()
    {
        using var pool = new ForkJoinPool(2);
        var numbers = (int*)pool.DoMeanwhile(&Piece, 2 * sizeof(int));
        for (var offer = 0; offer < 20; offer++)
        {
            numbers[1] = 0;
            pool.OfferPieces();

            // The other thread waits while this one is in its part.
            Assert.True(SpinWait.SpinUntil(
                () =>
                {
                    pool.Run(&Nothing, null, 2);
                    return Volatile.Read(ref numbers[1]) >= Pieces;
                },
                TimeSpan.FromSeconds(60)));
        }
    }

    [Fact]
    public void A_thread_that_held_a_call_up_is_left_out_for_a_while_and_then_comes_back()
    {
        using var pool = new ForkJoinPool(2);
        using var never = new ManualResetEventSlim(false);
        var caller = Environment.CurrentManagedThreadId;
        var late = new Lateness(caller, 5);
        for (var call = 0; call < 1000 && pool.LeftOut == 0; call++)
        {
            late.Begun = 0;
            pool.Run(&BeLate, &late, 4);
        }

        Assert.Equal(1, pool.LeftOut);
        for (var call = 0; call < 1000 && pool.LeftOut == 1; call++)
        {
            late.Milliseconds = 0;
            never.Wait(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken);
            pool.Run(&BeLate, &late, 4);
        }

        Assert.Equal(0, pool.LeftOut);
    }

    [Fact]
    public void Threads_that_fell_asleep_are_woken()
    {
        using var pool = new ForkJoinPool(3);
        var counts = stackalloc int[MaxThreads];
        using var never = new ManualResetEventSlim(false);
        for (var call = 1; call <= 20; call++)
        {
            // Longer than any thread spins.
            never.Wait(TimeSpan.FromMilliseconds(2), TestContext.Current.CancellationToken);
            pool.Run(&Count, counts);
        }

        Assert.Equal((20, 20, 20), (counts[0], counts[1], counts[2]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void An_exception_reaches_the_caller_and_the_pool_goes_on(int thrower)
    {
        using var pool = new ForkJoinPool(3);
        var counts = stackalloc int[MaxThreads];
        for (var round = 1; round <= 10; round++)
        {
            var part = thrower;
            var thrown = Throws(pool, &part);
            Assert.Equal($"part {thrower}", thrown.Message);
            pool.Run(&Count, counts);
            Assert.Equal((round, round, round), (counts[0], counts[1], counts[2]));
        }
    }

    [Fact]
    public void Of_several_exceptions_the_lowest_part_s_is_thrown()
    {
        using var pool = new ForkJoinPool(4);
        var all = -1;
        Assert.Equal("part 0", Throws(pool, &all).Message);
    }

    [Fact]
    public void A_call_allocates_nothing()
    {
        using var pool = new ForkJoinPool(2);
        var counts = stackalloc int[MaxThreads];
        pool.Run(&Count, counts);
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        var least = long.MaxValue;
        for (var round = 0; round < 20 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var call = 0; call < 200; call++)
            {
                pool.Run(&Count, counts);
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public void A_disposed_pool_refuses_work()
    {
        var pool = new ForkJoinPool(2);
        pool.Dispose();
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pool.Run(&Count, null));
    }

    private static InvalidOperationException Throws(ForkJoinPool pool, int* part)
    {
        var context = (nint)part;
        return Assert.Throws<InvalidOperationException>(() => pool.Run(&Throw, (void*)context));
    }

    // The other thread's part takes milliseconds, as if its processor had been given to another program; the caller's lasts until that has begun.
    private static void BeLate(void* context, int part, int parts)
    {
        var late = (Lateness*)context;
        if (Environment.CurrentManagedThreadId != late->Caller)
        {
            Volatile.Write(ref late->Begun, 1);
            using var never = new ManualResetEventSlim(false);
            never.Wait(late->Milliseconds);
            return;
        }

        for (var spins = 0; spins < 20_000 && late->Milliseconds > 0 && Volatile.Read(ref late->Begun) == 0; spins++)
        {
            Thread.SpinWait(20);
        }
    }

    private static void Count(void* context, int part, int parts) => Interlocked.Increment(ref ((int*)context)[part]);

    private static void CountThread(void* context, int thread, int shares)
    {
        if (shares == 3)
        {
            Interlocked.Increment(ref ((int*)context)[thread]);
        }
    }

    // Where all parts are under way at once, no thread has done another's: each waits for the others, but not for a thread that does not come.
    private static void Meet(void* context, int part, int parts)
    {
        var meeting = (Meeting*)context;
        meeting->Thread[part] = Environment.CurrentManagedThreadId;
        if (Interlocked.Increment(ref meeting->Begun) == parts)
        {
            meeting->All++;
        }

        for (var spins = 0; spins < 2000 && Volatile.Read(ref meeting->Begun) < parts; spins++)
        {
            Thread.SpinWait(10);
        }

        if (Volatile.Read(ref meeting->Begun) < parts)
        {
            // Whoever comes now is too late.
            Interlocked.Add(ref meeting->Begun, parts);
        }
    }

    private const int Pieces = 5;

    private static void Nothing(void* context, int part, int parts)
    {
    }

    // Numbers come in order to each thread, and none after the one that was said to be the last.
    private static bool Piece(void* context, int thread, int number)
    {
        if (thread == 1)
        {
            ((int*)context)[1] = number is >= 0 and < Pieces ? number + 1 : int.MinValue;
        }

        return number + 1 < Pieces;
    }

    private static void Throw(void* context, int part, int parts)
    {
        if (*(int*)context == part || *(int*)context < 0)
        {
            throw new InvalidOperationException($"part {part}");
        }
    }

    private struct Meeting
    {
        public int Begun;
        public int All;
        public fixed int Thread[MaxThreads];
        public fixed int Before[MaxThreads];
    }

    private struct Lateness(int caller, int milliseconds)
    {
        public readonly int Caller = caller;
        public int Milliseconds = milliseconds;
        public int Begun;
    }
}
