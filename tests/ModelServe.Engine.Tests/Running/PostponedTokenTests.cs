using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Tests.Running;

/// <summary>A token that is not ready holds up its own sequence alone, and a constraint that cannot be followed says so.</summary>
public sealed class PostponedTokenTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_sequence_that_sits_out_steps_gets_its_tokens_later_and_the_others_theirs_now(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var slow = EngineScenario.Request("slow", EngineScenario.Prompt(5, 1));
        var fast = EngineScenario.Request("fast", EngineScenario.Prompt(6, 2));
        var isSlow = true;
        scenario.Executor.Postponing = (plan, row) => isSlow && plan.Slots[row] == 0;
        scenario.Admit(slow);
        scenario.Admit(fast);
        while (scenario.Conversations[1].Endings == 0)
        {
            scenario.Step();
            scenario.Engine.CheckInvariants();
        }

        Assert.Equal(EngineScenario.Expected(fast, EngineScenario.Small), scenario.Conversations[1].Output);
        Assert.Empty(scenario.Conversations[0].Output);
        isSlow = false;
        scenario.RunToEnd();
        Assert.Equal(EngineScenario.Expected(slow, EngineScenario.Small), scenario.Conversations[0].Output);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_sequence_that_sits_out_can_be_cancelled(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        scenario.Executor.Postponing = (_, _) => true;
        scenario.Admit(EngineScenario.Request("slow", EngineScenario.Prompt(5)));
        for (var i = 0; i < 10; i++)
        {
            scenario.Step();
        }

        scenario.Conversations[0].Stream.Cancel(FinishReason.Cancelled);
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Cancelled, scenario.Conversations[0].Finish);
        Assert.Equal(0, scenario.Engine.Status.BlocksInUse);
    }

    [Fact]
    public void A_constraint_that_cannot_be_followed_ends_its_request_with_its_own_words()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(EngineScenario.Request("bound", EngineScenario.Prompt(5)) with { Sampling = SamplingOptions.Greedy with { Constraint = new Broken() } });
        scenario.Admit(EngineScenario.Request("free", EngineScenario.Prompt(5)));
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Error, scenario.Conversations[0].Finish);
        Assert.Equal("too hard", scenario.Conversations[0].Error);
        Assert.Equal(FinishReason.Length, scenario.Conversations[1].Finish);
    }

    private sealed class Broken : ITokenConstraint, ITokenConstraintFollower
    {
        public string? Failure => "too hard";

        public ITokenConstraintFollower Follow() => this;

        public void Follow(ReadOnlySpan<int> tokenIds)
        {
        }

        public bool TryFollow(int tokenId) => false;

        public bool FillMask(Span<uint> allowed) => false;
    }
}
