using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>Fault 17: the device has no memory for a step. Nothing is lost by it, and nobody waits for ever.</summary>
public sealed class ExhaustionTests
{
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, true)]
    public void Steps_that_find_no_memory_now_and_then_change_no_token(int depth, bool onSubmit)
    {
        using var scenario = new EngineScenario(depth: depth);
        var random = new Random(depth);
        long next = 2;
        Action<StepPlan> sometimes = plan =>
        {
            if (plan.StepId >= next)
            {
                next = plan.StepId + depth + random.Next(1, 9);
                throw new ExecutorExhaustedException("no memory");
            }
        };
        scenario.Executor.Submitting = onSubmit ? sometimes : null;
        scenario.Executor.Collecting = onSubmit ? null : sometimes;
        for (var i = 0; i < 40; i++)
        {
            scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(3 + (i % 17), i), 1 + (i % 23)));
        }

        scenario.RunToEnd();
        Assert.All(scenario.Conversations, conversation =>
        {
            Assert.Equal((FinishReason.Length, 1), (conversation.Finish, conversation.Endings));
            Assert.Equal(EngineScenario.Expected(conversation.Request, EngineScenario.Small), conversation.Output);
        });
        Assert.True(scenario.Engine.Status.ExhaustedSteps > 10, $"{scenario.Engine.Status.ExhaustedSteps} steps found no memory");
        Assert.Null(scenario.Engine.Status.Failure);
        Assert.Empty(scenario.Healed);
        Assert.Equal(32, scenario.Engine.Planner.Ledger.Pool.FreeCount);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_request_that_never_finds_memory_ends_alone(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var large = scenario.Admit(EngineScenario.Request("large", EngineScenario.Prompt(40), 10));
        var small = scenario.Admit(EngineScenario.Request("small", EngineScenario.Prompt(5, 2), 10));
        // Its last positions never fit.
        scenario.Executor.Collecting = plan =>
        {
            if (plan.FirstPositions.AsSpan(0, plan.SequenceCount).ContainsAnyExceptInRange(0, 39))
            {
                throw new ExecutorExhaustedException("no memory for position 40");
            }
        };
        scenario.RunToEnd();
        Assert.Equal((FinishReason.Exhausted, 1), (large.Finish, large.Endings));
        Assert.Equal("no memory for position 40", large.Error);
        Assert.Equal((FinishReason.Length, 10), (small.Finish, small.Output.Count));
        Assert.Equal(3, scenario.Engine.Status.ExhaustedSteps);
        var later = scenario.Admit(EngineScenario.Request("later", EngineScenario.Prompt(5, 3), 4));
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Length, later.Finish);
        Assert.Empty(scenario.Healed);
    }

    [Fact]
    public void A_cancel_and_a_deadline_reach_a_request_that_is_computed_again()
    {
        using var scenario = new EngineScenario();
        var cancelled = scenario.Admit(EngineScenario.Request("cancelled", EngineScenario.Prompt(5), 10));
        var late = scenario.Admit(EngineScenario.Request("late", EngineScenario.Prompt(5, 2), 10) with { Deadline = scenario.Time.GetUtcNow().AddSeconds(1) });
        scenario.Step();
        scenario.Executor.Collecting = _ => throw new ExecutorExhaustedException("no memory");
        scenario.Step();
        scenario.Executor.Collecting = null;
        Assert.Equal((0, 2), (scenario.Engine.Status.Running, scenario.Engine.Status.Waiting));
        cancelled.Stream.Cancel(FinishReason.Cancelled);
        scenario.Time.Advance(TimeSpan.FromSeconds(1));
        scenario.Step();
        Assert.Equal((FinishReason.Cancelled, FinishReason.Deadline), (cancelled.Finish, late.Finish));
        Assert.Equal((0, 0), (scenario.Engine.Status.Waiting, scenario.Engine.Status.BlocksInUse));
    }
}
