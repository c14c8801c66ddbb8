using CsCheck;
using ModelServe.Execution.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

public sealed class DecodeWorkPlannerTests
{
    private const int MaxRows = 40;
    private const int MaxContext = 2000;

    private static readonly Gen<(int[] Contexts, int Window, int KvHeads, int Multiprocessors, bool Deterministic)> Steps =
        Gen.Select(
            Gen.Int[1, MaxContext].Array[1, MaxRows], Gen.OneOf(Gen.Const(0), Gen.Int[1, 2500]), Gen.Int[1, 16],
            Gen.Int[1, 132], Gen.Bool);

    [Fact]
    public void Every_visible_key_lies_in_exactly_one_item_of_its_row() => Steps.Sample(step =>
    {
        var planner = Plan(step);
        for (var row = 0; row < step.Contexts.Length; row++)
        {
            var seen = new int[step.Contexts[row]];
            for (var i = 0; i < planner.Count; i++)
            {
                var start = planner.Chunks[i] * planner.ChunkTokens;
                var end = Math.Min(start + planner.ChunkTokens, seen.Length);
                for (var key = start; planner.Rows[i] == row && key < end; key++)
                {
                    seen[key]++;
                }
            }

            var visible = step.Window > 0 ? Math.Max(0, seen.Length - step.Window) : 0;
            Assert.False(seen.AsSpan(visible).ContainsAnyExcept(1));
            Assert.False(seen.AsSpan().ContainsAnyExcept(0, 1));
        }
    });

    [Fact]
    public void A_rows_chunks_are_consecutive_from_the_first_that_its_window_reaches() => Steps.Sample(step =>
    {
        var planner = Plan(step);
        for (var row = 0; row < step.Contexts.Length; row++)
        {
            var chunks = Enumerable.Range(0, planner.Count).Where(i => planner.Rows[i] == row).Select(i => planner.Chunks[i]).Order();
            var visible = step.Window > 0 ? Math.Max(0, step.Contexts[row] - step.Window) : 0;
            var owned = planner.RowStarts[row + 1] - planner.RowStarts[row];
            Assert.Equal(Enumerable.Range(visible / planner.ChunkTokens, owned), chunks);
        }

        Assert.Equal(planner.Count, planner.RowStarts[step.Contexts.Length]);
        Assert.Equal(planner.Count, planner.RowStarts[^1]);
    });

    [Fact]
    public void Longer_items_come_first() => Steps.Sample(step =>
    {
        var planner = Plan(step);
        var lengths = Enumerable.Range(0, planner.Count).Select(i =>
        {
            var context = step.Contexts[planner.Rows[i]];
            var visible = step.Window > 0 ? Math.Max(0, context - step.Window) : 0;
            var start = Math.Max(visible, planner.Chunks[i] * planner.ChunkTokens);
            return Math.Min(context, (planner.Chunks[i] + 1) * planner.ChunkTokens) - start;
        }).ToArray();
        Assert.Equal(lengths.OrderDescending(), lengths);
        Assert.True(lengths[^1] > 0);
    });

    [Fact]
    public void A_step_never_has_more_items_than_the_bound() =>
        Steps.Sample(step => Assert.InRange(Plan(step).Count, step.Contexts.Length, Planner(step).MaxItems));

    [Fact]
    public void A_chunk_is_a_multiple_of_the_kernels_tile() =>
        Steps.Sample(step => Assert.Equal(0, Plan(step).ChunkTokens % DecodeWorkPlanner.ShortestChunk));

    [Fact]
    public void In_deterministic_mode_a_rows_split_does_not_depend_on_its_batch() => Steps.Sample(step =>
    {
        var batch = Plan(step with { Deterministic = true });
        var alone = Plan(step with { Deterministic = true, Contexts = [step.Contexts[0]] });
        var mine = Enumerable.Range(0, batch.Count).Where(i => batch.Rows[i] == 0).Select(i => batch.Chunks[i]);
        Assert.Equal(alone.Chunks[..alone.Count], mine);
        Assert.Equal(alone.ChunkTokens, batch.ChunkTokens);
    });

    [Fact]
    public void Planning_again_forgets_the_last_step() => Gen.Select(Steps, Steps).Sample((first, second) =>
    {
        var used = Planner(second);
        used.Plan(first.Contexts, first.Window);
        used.Plan(second.Contexts, second.Window);
        var fresh = Plan(second);
        Assert.Equal(fresh.Rows[..fresh.Count], used.Rows[..used.Count]);
        Assert.Equal(fresh.Chunks[..fresh.Count], used.Chunks[..used.Count]);
        Assert.Equal(fresh.RowStarts, used.RowStarts);
    });

    [Fact]
    public void Planning_allocates_nothing()
    {
        var planner = new DecodeWorkPlanner(256, 4096, 8, 132, deterministic: false);
        var contexts = Enumerable.Range(1, 256).Select(i => i * 16).ToArray();
        planner.Plan(contexts, 0);
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 100; i++)
            {
                planner.Plan(contexts, 0);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void More_rows_than_planned_for_are_refused()
    {
        var planner = new DecodeWorkPlanner(2, 100, 1, 4, deterministic: false);
        Assert.Throws<ArgumentException>(() => planner.Plan([1, 2, 3], 0));
    }

    private static DecodeWorkPlanner Planner(
        (int[] Contexts, int Window, int KvHeads, int Multiprocessors, bool Deterministic) step) =>
        new(MaxRows, MaxContext, step.KvHeads, step.Multiprocessors, step.Deterministic);

    private static DecodeWorkPlanner Plan(
        (int[] Contexts, int Window, int KvHeads, int Multiprocessors, bool Deterministic) step)
    {
        var planner = Planner(step);
        planner.Plan(step.Contexts, step.Window);
        return planner;
    }
}
