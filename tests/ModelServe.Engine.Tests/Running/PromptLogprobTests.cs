using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>Log probabilities of prompts: each token's once, with the first token or before, whatever the portions and the steps in flight.</summary>
public sealed class PromptLogprobTests
{
    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 3)]
    [InlineData(2, 5)]
    [InlineData(3, 1)]
    public void A_prompt_in_portions_is_scored_whole_with_the_first_token(int depth, int chunk)
    {
        using var scenario = new EngineScenario(options: new EngineOptions { PrefixHashKey = 7, ChunkTokens = chunk }, depth: depth);
        for (var i = 0; i < 4; i++)
        {
            scenario.Admit(Scored($"r{i}", EngineScenario.Prompt(9 + (11 * i), i), 4, top: i));
        }

        scenario.RunToEnd();
        Assert.All(scenario.Conversations, conversation => EngineScenario.AssertScored(conversation, EngineScenario.Small));
        Assert.All(scenario.Conversations, conversation =>
            Assert.Equal(EngineScenario.Expected(conversation.Request, EngineScenario.Small), conversation.Output));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_request_for_no_token_ends_with_its_prompt_computed(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var asked = scenario.Admit(Scored("asked", EngineScenario.Prompt(21), 0, top: 2));
        var silent = scenario.Admit(EngineScenario.Request("silent", EngineScenario.Prompt(21, 2), 0));
        scenario.RunToEnd();
        EngineScenario.AssertScored(asked, EngineScenario.Small);
        Assert.All(scenario.Conversations, conversation => Assert.Equal(FinishReason.Length, conversation.Finish));
        Assert.All(scenario.Conversations, conversation => Assert.Empty(conversation.Output));
        Assert.Null(silent.PromptLogprobs);
        Assert.Equal(0, scenario.Engine.Status.GeneratedTokens);
    }

    [Fact]
    public void A_prompt_of_one_token_has_nothing_to_score_and_says_so()
    {
        using var scenario = new EngineScenario();
        var one = scenario.Admit(Scored("one", [5], 2, top: 5));
        scenario.RunToEnd();
        Assert.Equal(0, one.PromptLogprobs?.Count);
    }

    [Fact]
    public void What_is_scored_is_computed_though_it_is_cached_and_is_cached_for_others()
    {
        using var scenario = new EngineScenario();
        var prompt = EngineScenario.Prompt(24);
        scenario.Admit(EngineScenario.Request("first", prompt, 2));
        scenario.RunToEnd();
        var asked = scenario.Admit(Scored("asked", prompt, 2, top: 1));
        scenario.RunToEnd();
        Assert.Equal(0, asked.Stream.Timings.CachedPromptTokens);
        EngineScenario.AssertScored(asked, EngineScenario.Small);

        // The first run of this prompt is one that is scored.
        var other = EngineScenario.Prompt(24, 3);
        scenario.Admit(Scored("stores", other, 2, top: 1));
        scenario.RunToEnd();
        var reads = scenario.Admit(EngineScenario.Request("reads", other, 2));
        scenario.RunToEnd();
        Assert.Equal(20, reads.Stream.Timings.CachedPromptTokens);
    }

    [Fact]
    public void What_was_scored_before_a_preemption_is_not_computed_again()
    {
        // Four blocks of four tokens: the second prompt makes the first one give way once it has grown.
        var geometry = EngineScenario.Small with { BlockCount = 11 };
        using var scenario = new EngineScenario(geometry);
        var scored = 0;
        scenario.Executor.Submitting = plan => scored += plan.ScoredCount;
        var high = EngineScenario.Request("high", EngineScenario.Prompt(12, 2), 20) with { Tier = ServiceTier.Priority };
        var low = scenario.Admit(Scored("low", EngineScenario.Prompt(16), 16, top: 1));
        scenario.Step();
        scenario.Step();
        scenario.Admit(high);
        scenario.RunToEnd();
        Assert.True(low.Stream.Timings.Preemptions > 0);
        EngineScenario.AssertScored(low, geometry);
        Assert.Equal(15, scored);
        Assert.Equal(15, scenario.Engine.Status.ScoredTokens);
        Assert.Equal(EngineScenario.Expected(low.Request, geometry), low.Output);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Steps_without_memory_are_scored_again_and_told_once(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var step = 0;
        scenario.Executor.Collecting = _ =>
        {
            if (++step is 2 or 4)
            {
                throw new ExecutorExhaustedException("no memory");
            }
        };
        var asked = scenario.Admit(Scored("asked", EngineScenario.Prompt(50), 5, top: 3));
        scenario.RunToEnd();
        Assert.True(scenario.Engine.Status.ExhaustedSteps >= 2);
        EngineScenario.AssertScored(asked, EngineScenario.Small);
        Assert.Equal(EngineScenario.Expected(asked.Request, EngineScenario.Small), asked.Output);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_first_token_that_is_late_does_not_cost_the_scores(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var late = 3;
        scenario.Executor.Postponing = (_, _) => late-- > 0;
        var asked = scenario.Admit(Scored("asked", EngineScenario.Prompt(20), 3, top: 0));
        scenario.RunToEnd();
        EngineScenario.AssertScored(asked, EngineScenario.Small);
    }

    [Fact]
    public void Logits_that_are_not_finite_end_the_request_and_no_other()
    {
        using var scenario = new EngineScenario();
        var isBroken = true;
        scenario.Executor.Scoring = rows =>
        {
            if (isBroken)
            {
                rows.Logprobs[3] = float.NaN;
                isBroken = false;
            }
        };
        var broken = scenario.Admit(Scored("broken", EngineScenario.Prompt(10), 3, top: 1));
        var whole = scenario.Admit(Scored("whole", EngineScenario.Prompt(10, 2), 3, top: 1));
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Error, broken.Finish);
        Assert.Contains("not finite", broken.Error, StringComparison.Ordinal);
        Assert.Null(broken.PromptLogprobs);
        EngineScenario.AssertScored(whole, EngineScenario.Small);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_request_that_is_cancelled_while_it_is_scored_gives_everything_back(int depth)
    {
        using var scenario = new EngineScenario(options: new EngineOptions { PrefixHashKey = 7, ChunkTokens = 4 }, depth: depth);
        var asked = scenario.Admit(Scored("asked", EngineScenario.Prompt(40), 3, top: 1));
        scenario.Step();
        scenario.Step();
        asked.Stream.Cancel(FinishReason.Cancelled);
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Cancelled, asked.Finish);
        Assert.Null(asked.PromptLogprobs);
        Assert.Equal(0, scenario.Engine.Status.BlocksInUse);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(6)]
    [InlineData(1000)]
    public void More_alternatives_than_a_result_holds_are_refused(int top)
    {
        using var scenario = new EngineScenario();
        var rejection = scenario.Engine.Admit(Scored("r", EngineScenario.Prompt(4), 1, top)).Rejection;
        Assert.Equal((RejectionReason.InvalidField, "prompt_logprobs", "0..5"), (rejection?.Reason, rejection?.Field, rejection?.Limit));
    }

    private static GenerationRequest Scored(string id, int[] prompt, int maxTokens, int top) =>
        EngineScenario.Request(id, prompt, maxTokens) with { Sampling = SamplingOptions.Greedy with { PromptLogprobs = top } };
}
