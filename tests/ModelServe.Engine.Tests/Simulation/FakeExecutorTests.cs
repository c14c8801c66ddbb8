using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;
using ModelServe.Engine.Tests.Running;

namespace ModelServe.Engine.Tests.Simulation;

/// <summary>The fake must notice a broken promise, or the tests above it prove nothing: each guard is seen to fail.</summary>
public sealed class FakeExecutorTests : IDisposable
{
    private static readonly ExecutorGeometry Geometry = EngineScenario.Small;

    private readonly FakeExecutor _executor = new(Geometry, depth: 2);
    private long _lastStep;

    public void Dispose() => _executor.Dispose();

    [Fact]
    public void A_right_plan_passes()
    {
        Run(Plan(0, [1, 2, 3, 4, 5], [1, 2]));
        var result = Run(Next(0, 5, StepPlan.LastSampledToken, [1, 2]));
        Assert.InRange(result.TokenIds[0], 0, Geometry.VocabularySize - 1);
    }

    [Fact]
    public void A_wrong_block_table_is_noticed()
    {
        Run(Plan(0, [1, 2, 3, 4, 5], [1, 2]));
        Throws("reads token", Next(0, 5, StepPlan.LastSampledToken, [3, 2]));
    }

    [Fact]
    public void A_block_overwritten_by_another_sequence_is_noticed()
    {
        Run(Plan(0, [1, 2, 3, 4, 5], [1, 2]));
        Run(Plan(1, [9, 9, 9], [1]));
        Throws("reads token", Next(0, 5, StepPlan.LastSampledToken, [1, 2]));
    }

    [Fact]
    public void A_false_prefix_hit_is_noticed()
    {
        Run(Plan(0, [1, 2, 3, 4, 5], [1, 2]));
        var plan = Plan(1, [1, 2, 3, 9, 5], [1, 3], first: 4);
        Throws("reads token 4 at position 3, where its token is 9", plan);
    }

    [Fact]
    public void The_null_block_is_refused() => Throws("block 0", Plan(0, [1, 2, 3], [0]));

    [Fact]
    public void A_wrong_token_is_noticed()
    {
        Run(Plan(0, [1, 2, 3], [1]));
        Throws("feeds 49", Next(0, 3, 49, [1]));
    }

    [Fact]
    public void A_plan_changed_in_flight_is_noticed()
    {
        var plan = Plan(0, [1, 2, 3], [1]);
        _executor.Submit(plan);
        plan.TokenIds[1] = 7;
        var exception = Assert.Throws<InvalidOperationException>(_executor.Collect);
        Assert.Contains("changed while it was in flight", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_reused_while_a_step_in_flight_uses_it_is_noticed()
    {
        _executor.Submit(Plan(0, [1, 2, 3], [1]));
        var exception = Assert.Throws<InvalidOperationException>(() => _executor.Submit(Plan(1, [4, 5], [1])));
        Assert.Contains("while step 1 uses it for slot 0", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_steps_in_flight_than_the_depth_are_refused()
    {
        _executor.Submit(Plan(0, [1, 2, 3], [1]));
        _executor.Submit(Plan(1, [1, 2, 3], [2]));
        Assert.Throws<InvalidOperationException>(() => _executor.Submit(Plan(2, [1, 2, 3], [3])));
    }

    [Fact]
    public void A_sampled_row_that_is_not_the_last_token_is_noticed()
    {
        var plan = Plan(0, [1, 2, 3], [1]);
        plan.Samples[0] = false;
        Throws("samples at", plan);
    }

    private StepPlan Plan(int slot, int[] tokens, int[] blocks, int first = 0)
    {
        var plan = Row(slot, first, tokens[first..], blocks);
        plan.NewSlots[0] = new SlotAssignment(slot, SamplingOptions.Greedy, tokens, tokens.Length);
        plan.NewSlotCount = 1;
        return plan;
    }

    private StepPlan Next(int slot, int position, int token, int[] blocks) => Row(slot, position, [token], blocks);

    private StepPlan Row(int slot, int first, int[] tokens, int[] blocks)
    {
        var plan = new StepPlan(Geometry) { StepId = ++_lastStep, SequenceCount = 1, TokenCount = tokens.Length };
        plan.Slots[0] = slot;
        plan.FirstPositions[0] = first;
        plan.TokenStarts[1] = tokens.Length;
        plan.Samples[0] = true;
        tokens.CopyTo(plan.TokenIds, 0);
        blocks.CopyTo(plan.BlockTables, slot * plan.BlockTableStride);
        return plan;
    }

    private StepResult Run(StepPlan plan)
    {
        _executor.Submit(plan);
        return _executor.Collect();
    }

    private void Throws(string message, StepPlan plan)
    {
        var exception = Assert.Throws<InvalidOperationException>(() => Run(plan));
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }
}
