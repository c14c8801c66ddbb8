using ModelServe.Execution.Cpu.Threads;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Threads;

/// <summary>How many processors a container's quota leaves.</summary>
public sealed class ProcessorShareTests
{
    [Theory]
    [InlineData("max 100000\n", int.MaxValue)]
    [InlineData("400000 100000\n", 4)]
    [InlineData("150000 100000\n", 1)]
    [InlineData("50000 100000\n", 1)]
    [InlineData("", int.MaxValue)]
    public void Only_whole_processors_count(string quota, int expected) => Assert.Equal(expected, ProcessorShare.WholeOf(quota));

    [Fact]
    public void This_machine_has_at_least_one() => Assert.InRange(ProcessorShare.Whole(), 1, Environment.ProcessorCount);
}
