using ModelServe.Execution.Native;
using Xunit;

namespace ModelServe.Execution.Tests.Native;

/// <summary>The turns that threads ask the system for, on threads of the tests' own.</summary>
public sealed class ThreadTurnsTests
{
    private static readonly TimeSpan Wanted = TimeSpan.FromMilliseconds(0.3);

    [Fact]
    public void A_thread_has_the_turns_it_asked_for_and_so_have_those_it_starts()
    {
        var (own, child, after) = OnThread(() =>
        {
            ThreadTurns.Ask(Wanted);
            var asked = ThreadTurns.OfCaller();
            var inherited = OnThread(ThreadTurns.OfCaller);
            ThreadTurns.Ask(TimeSpan.Zero);
            return (asked, inherited, ThreadTurns.OfCaller());
        });
        SkipWhereNobodyListens(own);
        Assert.Equal(Wanted, own);
        Assert.Equal(Wanted, child);
        Assert.NotEqual(Wanted, after);
    }

    [Fact]
    public void All_threads_that_there_are_ask_together_and_can_take_it_back()
    {
        using var asked = new ManualResetEventSlim();
        TimeSpan? others = null;
        var other = new Thread(() =>
        {
            asked.Wait();
            others = ThreadTurns.OfCaller();
        });
        other.Start();
        var own = ThreadTurns.AskForAll(Wanted);
        asked.Set();
        other.Join();
        var after = ThreadTurns.AskForAll(TimeSpan.Zero);
        SkipWhereNobodyListens(own);
        Assert.Equal(Wanted, own);
        Assert.Equal(Wanted, others);
        Assert.NotEqual(Wanted, after);
    }

    private static void SkipWhereNobodyListens(TimeSpan? told) => Assert.SkipUnless(
        told is not null && Environment.OSVersion.Version >= new Version(6, 12), "the system takes no wish for turns (Linux does from 6.12 on)");

    private static T OnThread<T>(Func<T> work)
    {
        T? result = default;
        var thread = new Thread(() => result = work());
        thread.Start();
        thread.Join();
        return result!;
    }
}
