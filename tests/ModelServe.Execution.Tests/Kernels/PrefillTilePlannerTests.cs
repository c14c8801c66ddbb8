using CsCheck;
using ModelServe.Execution.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

public sealed class PrefillTilePlannerTests
{
    private static readonly Gen<(int[] Tokens, int[] Firsts, int Tile)> Steps =
        Gen.Int[1, 12].SelectMany(rows => Gen.Select(
            Gen.Int[1, 200].Array[rows], Gen.Int[0, 300].Array[rows], Gen.Int[1, 128]));

    [Fact]
    public void Every_new_token_lies_in_exactly_one_tile() => Steps.Sample(step =>
    {
        var planner = Plan(step);
        for (var row = 0; row < step.Tokens.Length; row++)
        {
            var starts = Enumerable.Range(0, planner.Count).Where(i => planner.Rows[i] == row).Select(i => planner.Starts[i]);
            var expected = Enumerable.Range(0, (step.Tokens[row] + step.Tile - 1) / step.Tile).Select(i => i * step.Tile);
            Assert.Equal(expected, starts.Order());
        }
    });

    [Fact]
    public void Tiles_with_longer_contexts_come_first() => Steps.Sample(step =>
    {
        var planner = Plan(step);
        var keys = Enumerable.Range(0, planner.Count).Select(i =>
        {
            var row = planner.Rows[i];
            return step.Firsts[row] + Math.Min(step.Tokens[row], planner.Starts[i] + step.Tile);
        }).ToArray();
        Assert.Equal(keys.OrderDescending(), keys);
    });

    [Fact]
    public void A_step_never_has_more_tiles_than_the_bound() =>
        Steps.Sample(step => Assert.InRange(Plan(step).Count, 1, Plan(step).MaxTiles));

    private static PrefillTilePlanner Plan((int[] Tokens, int[] Firsts, int Tile) step)
    {
        var planner = new PrefillTilePlanner(step.Tile, step.Tokens.Length, step.Tokens.Sum());
        var starts = new int[step.Tokens.Length + 1];
        for (var row = 0; row < step.Tokens.Length; row++)
        {
            starts[row + 1] = starts[row] + step.Tokens[row];
        }

        planner.Plan(starts, step.Firsts);
        return planner;
    }
}
