using System.Diagnostics;
using ModelServe.Execution.Cpu.Threads;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>When computing threads let others go first.</summary>
public sealed class WayForWritersTests
{
    private static readonly long Millisecond = Stopwatch.Frequency / 1_000;

    [Fact]
    public void The_way_is_open_in_the_first_moments_of_a_step_and_then_no_more()
    {
        var way = new WayForWriters();
        Assert.False(way.IsOpen(now: 1), "no step has begun");

        for (var now = Millisecond; now < 30 * Millisecond; now += 7 * Millisecond)
        {
            way.Begin(now);

            Assert.True(way.IsOpen(now + Millisecond), "the step has just begun");
            Assert.False(way.IsOpen(now + (2 * Millisecond)), "the step began a while ago");
        }
    }

    [Fact]
    public void The_way_stays_closed_where_steps_are_short_and_opens_again_after_a_long_one()
    {
        var way = new WayForWriters();
        var now = Millisecond;
        way.Begin(now);

        for (var step = 0; step < 100; step++)
        {
            now += Millisecond;
            way.Begin(now);

            Assert.False(way.IsOpen(now), $"step {step} followed a short one");
        }

        now += 2 * Millisecond;
        way.Begin(now);
        Assert.True(way.IsOpen(now));
    }
}
