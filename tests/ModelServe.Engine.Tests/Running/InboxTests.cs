using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>The bell between threads: whoever was told to look again looks again, however the moments fall.</summary>
public sealed class InboxTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public void A_ring_is_heard_whatever_woke_the_sleeper_at_the_same_moment() => Ring(rounds: 3_000);

    [Fact(Explicit = true)]
    public void A_ring_is_heard_whatever_woke_the_sleeper_at_the_same_moment_in_full() => Ring(rounds: 100_000);

    [Fact]
    public void A_bell_that_is_gone_harms_nobody_who_still_wants_to_ring()
    {
        for (var round = 0; round < 300; round++)
        {
            using var inbox = new Inbox();
            var sequence = new Sequence(EngineScenario.Request("late", [1]), 8, inbox, new QueueBudget(100, 100));
            var sleeper = new Thread(() => inbox.WaitForNews(Limit));
            var late = new Thread(() => inbox.AddCancellation(sequence));
            sleeper.Start();
            late.Start();
            inbox.Ring();
            sleeper.Join();
            inbox.Dispose();
            late.Join();
            inbox.AddArrival(sequence);
        }
    }

    /// <summary>
    /// In every round one thread leaves an arrival, as a client does, while another changes a number and rings, as a stop does.
    /// Nothing else comes in that round: a ring that is lost between the sleeper's look and its next sleep stays lost.
    /// </summary>
    private static void Ring(int rounds)
    {
        using var inbox = new Inbox();
        var sequence = new Sequence(EngineScenario.Request("noise", [1]), 8, inbox, new QueueBudget(100, 100));
        int begun = 0, wanted = 0, seen = 0, noise = 0, lost = 0;
        var over = false;
        var sleeper = new Thread(() =>
        {
            for (var last = 0; !Volatile.Read(ref over);)
            {
                // As the engine's loop: look whether to stop, do what has come, sleep.
                var now = Volatile.Read(ref wanted);
                if (inbox.TakeArrivals() is not null)
                {
                    Volatile.Write(ref noise, begun);
                }

                if (now != last)
                {
                    Volatile.Write(ref seen, last = now);
                    continue;
                }

                inbox.WaitForNews(Limit);
            }
        });
        var client = new Thread(() =>
        {
            for (var round = 1; round <= rounds; round++)
            {
                var wait = default(SpinWait);
                while (Volatile.Read(ref begun) != round)
                {
                    wait.SpinOnce(sleep1Threshold: -1);
                }

                inbox.AddArrival(sequence);
            }
        });
        sleeper.Start();
        client.Start();
        var random = new Random(1);
        for (var round = 1; round <= rounds; round++)
        {
            Volatile.Write(ref begun, round);
            Thread.SpinWait(random.Next(60));
            Interlocked.Exchange(ref wanted, round);
            inbox.Ring();
            lost += SleptThrough(() => Volatile.Read(ref seen) == round && Volatile.Read(ref noise) == round) ? 1 : 0;
        }

        client.Join();
        Volatile.Write(ref over, true);
        inbox.Ring();
        sleeper.Join();
        Assert.Equal(0, lost);
    }

    /// <summary>Waits for a condition; whether that took as long as a sleep that nothing ends, while this thread itself ran all the time.</summary>
    private static bool SleptThrough(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        var last = start;
        var longestGap = TimeSpan.Zero;
        for (var wait = default(SpinWait); !condition(); wait.SpinOnce(sleep1Threshold: -1))
        {
            var now = TimeProvider.System.GetTimestamp();
            var gap = TimeProvider.System.GetElapsedTime(last, now);
            longestGap = gap > longestGap ? gap : longestGap;
            last = now;
        }

        // A process that was stopped as a whole slept through nothing.
        return TimeProvider.System.GetElapsedTime(start, last) >= Limit / 2 && longestGap < Limit / 4;
    }
}
