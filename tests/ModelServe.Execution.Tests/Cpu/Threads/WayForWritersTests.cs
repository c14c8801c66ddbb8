using System.Diagnostics;
using ModelServe.Execution.Cpu.Threads;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

public sealed class WayForWritersTests
{
    private static readonly long Moment = Stopwatch.Frequency / 1_000_000;
    private static readonly long LongAfter = Stopwatch.Frequency / 100;

    [Fact]
    public void The_way_is_open_in_the_first_moments_of_a_step_and_then_no_more()
    {
        var way = new WayForWriters();
        Assert.False(way.IsOpen(Stopwatch.GetTimestamp()), "no step has begun");

        for (var step = 0; step < 3; step++)
        {
            var before = Stopwatch.GetTimestamp();
            way.Begin();
            var after = Stopwatch.GetTimestamp();

            Assert.True(way.IsOpen(before + Moment), $"step {step} has just begun");
            Assert.False(way.IsOpen(after + LongAfter), $"step {step} began long ago");
        }
    }
}
