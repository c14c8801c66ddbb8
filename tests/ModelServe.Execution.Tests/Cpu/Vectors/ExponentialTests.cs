using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Vectors;

/// <summary>The vector exponential against double precision.</summary>
public sealed class ExponentialTests
{
    [Fact]
    public void Relative_error_is_at_most_2e_7_over_the_whole_range()
    {
        var worst = 0.0;
        for (var x = -87.3f; x <= 88.7f; x += 0.00137f)
        {
            var exact = Math.Exp(x);
            worst = Math.Max(worst, Math.Abs(Exponential.Of(x) - exact) / exact);
        }

        Assert.InRange(worst, 0, 2e-7);
    }

    [Theory]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(-1000f, 0f)]
    [InlineData(0f, 1f)]
    [InlineData(1000f, float.PositiveInfinity)]
    [InlineData(float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(float.NaN, float.NaN)]
    public void Edges_are_exact(float x, float expected) => Assert.Equal(expected, Exponential.Of(x));

    [Fact]
    public void The_greatest_finite_results_are_finite() => Assert.True(float.IsFinite(Exponential.Of(88.72f)));

    [Fact]
    public void Lanes_do_not_depend_on_each_other()
    {
        var x = Vector512.Create(0f, 1f, float.NaN, 2f, float.NegativeInfinity, 3f, 4f, 5f, 6f, 7f, 8f, 9f, 10f, 1000f, -1000f, -1f);
        var result = Exponential.Of(x);
        for (var lane = 0; lane < 16; lane++)
        {
            Assert.Equal(Exponential.Of(x[lane]), result[lane]);
        }
    }
}
