using System.Diagnostics;
using ModelServe.Execution.Cpu.Threads;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>Which threads are left out of a pool's calls, and which are not.</summary>
public sealed class StragglerWatchTests
{
    private static readonly long Millisecond = Stopwatch.Frequency / 1000;

    [Fact]
    public void A_thread_that_was_late_once_stays()
    {
        using var worker = new PoolWorker(1);
        var watch = new StragglerWatch([worker]);
        BeLate(watch, worker, 4);
        Assert.Equal(0, watch.Count);
        Assert.False(worker.IsLeftOut);
    }

    [Fact]
    public void A_thread_is_left_out_once_calls_wait_for_it_for_more_than_it_is_worth_and_comes_back()
    {
        using var worker = new PoolWorker(1);
        var watch = new StragglerWatch([worker]);
        for (var call = 0; call < 1000 && watch.Count == 0; call++)
        {
            BeLate(watch, worker, 4);
        }

        Assert.True(worker.IsLeftOut);
        watch.Begin(Stopwatch.GetTimestamp() + (1000 * Millisecond));
        Assert.Equal((0, false), (watch.Count, worker.IsLeftOut));
    }

    [Fact]
    public void The_more_threads_there_are_the_less_one_may_hold_up_the_others()
    {
        PoolWorker[] workers = [.. Enumerable.Range(1, 15).Select(number => new PoolWorker(number))];
        var watch = new StragglerWatch(workers);
        BeLate(watch, workers[3], 4);
        Assert.Equal([4], workers.Where(worker => worker.IsLeftOut).Select(worker => worker.Number));
        foreach (var worker in workers)
        {
            worker.Dispose();
        }
    }

    private static void BeLate(StragglerWatch watch, PoolWorker worker, int milliseconds)
    {
        var now = Stopwatch.GetTimestamp();
        worker.LastEnd = now;
        watch.End(now - (milliseconds * Millisecond), 0);
        worker.LastEnd = 0;
    }
}
