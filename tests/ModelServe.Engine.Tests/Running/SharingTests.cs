using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>What sequences share and take from each other: prefixes, budget, blocks.</summary>
public sealed class SharingTests
{
    [Fact]
    public void A_repeated_prompt_comes_from_the_cache_but_for_its_tail()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(Request("first", 16));
        scenario.RunToEnd();
        var second = scenario.Admit(Request("second", 16));
        scenario.RunToEnd();
        Assert.Equal(12, second.Stream.Timings.CachedPromptTokens);
        Assert.Equal(scenario.Conversations[0].Output, second.Output);
        Assert.Equal((12L, 32L, 12L), (Status(scenario).CachedPromptTokens, Status(scenario).PrefixQueries, Status(scenario).PrefixHits));
    }

    [Fact]
    public void Another_tenant_finds_nothing_of_a_cached_prompt()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(Request("first", 16) with { CacheSalt = 1 });
        scenario.RunToEnd();
        var second = scenario.Admit(Request("second", 16) with { CacheSalt = 2 });
        scenario.RunToEnd();
        Assert.Equal(0, second.Stream.Timings.CachedPromptTokens);
    }

    [Fact]
    public void A_request_that_bypasses_the_cache_neither_reads_nor_writes_it()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(Request("first", 16) with { BypassPrefixCache = true });
        scenario.RunToEnd();
        scenario.Admit(Request("second", 16));
        scenario.RunToEnd();
        scenario.Admit(Request("third", 16) with { BypassPrefixCache = true });
        scenario.RunToEnd();
        Assert.All(scenario.Conversations, c => Assert.Equal(0, c.Stream.Timings.CachedPromptTokens));
    }

    [Fact]
    public void A_prefix_of_a_running_sequence_is_shared_while_it_runs()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(Request("first", 16, 30));
        scenario.Step();
        scenario.Step();
        scenario.Admit(Request("second", 16, 30));
        scenario.Step();
        Assert.Equal(3, scenario.Engine.Planner.Ledger.SharedBlocks(scenario.Engine.Planner.Running[0]));
        scenario.RunToEnd();
        Assert.Equal(12, scenario.Conversations[1].Stream.Timings.CachedPromptTokens);
    }

    [Fact]
    public void A_long_prompt_is_fed_in_chunks_and_does_not_stop_the_others()
    {
        using var scenario = new EngineScenario(options: new EngineOptions { ChunkTokens = 4 });
        var running = scenario.Admit(Request("runs", 4, 20));
        scenario.Step();
        scenario.Admit(EngineScenario.Request("long", EngineScenario.Prompt(40, 9), 2));
        for (var i = 0; i < 10; i++)
        {
            scenario.Step();
            Assert.Equal(i + 2, running.Output.Count);
        }

        Assert.Single(scenario.Conversations[1].Output);
        scenario.RunToEnd();
    }

    [Fact]
    public void A_waiting_request_enters_only_when_its_whole_prompt_fits()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { BlockCount = 17 });
        scenario.Admit(Request("first", 40, 10));
        scenario.Step();
        scenario.Admit(EngineScenario.Request("second", EngineScenario.Prompt(24, 5), 2));
        scenario.Step();
        Assert.Equal((1, 1), (Status(scenario).Running, Status(scenario).Waiting));
        scenario.RunToEnd();
        Assert.Equal(0, Status(scenario).Preemptions);
    }

    [Fact]
    public void A_higher_priority_runs_before_an_earlier_arrival()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        scenario.Admit(Request("low", 4, 2));
        scenario.Admit(Request("high", 4, 2) with { Priority = 1 });
        scenario.Step();
        Assert.Empty(scenario.Conversations[0].Output);
        Assert.Single(scenario.Conversations[1].Output);
        scenario.RunToEnd();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void When_blocks_run_out_the_lowest_priority_goes_and_still_gives_the_same_tokens(int depth)
    {
        using var scenario = Crowded(depth);
        scenario.Admit(EngineScenario.Request("low", EngineScenario.Prompt(12, 2), 24));
        scenario.Admit(EngineScenario.Request("high", EngineScenario.Prompt(12, 3), 24) with { Priority = 1 });
        scenario.RunToEnd();
        Assert.True(scenario.Conversations[0].Stream.Timings.Preemptions > 0);
        Assert.True(scenario.Conversations[0].Stream.Timings.RecomputedTokens > 0);
        Assert.Equal(0, scenario.Conversations[1].Stream.Timings.Preemptions);
        AssertExpected(scenario);
    }

    [Fact]
    public void Among_equals_the_one_that_is_cheapest_to_compute_again_goes()
    {
        // Chunks of 4 leave the middle one with 12 of 24 tokens computed in 6 blocks when the last one needs a third block.
        using var scenario = new EngineScenario(
            new ExecutorGeometry(50, 64, 4, 12, 3, 32, 0), new EngineOptions { ChunkTokens = 4, EnablePrefixCaching = false });
        scenario.Admit(EngineScenario.Request("decodes", EngineScenario.Prompt(7, 1), 12));
        scenario.Admit(EngineScenario.Request("prefills", EngineScenario.Prompt(24, 2), 12));
        scenario.Admit(EngineScenario.Request("decodes too", EngineScenario.Prompt(7, 3), 12));
        for (var i = 0; i < 4; i++)
        {
            scenario.Step();
        }

        Assert.Equal([0, 1, 0], scenario.Conversations.Select(c => c.Stream.Timings.Preemptions));
        scenario.RunToEnd();
        AssertExpected(scenario);
    }

    [Fact]
    public void The_tail_of_a_cached_prompt_is_overwritten_before_its_head()
    {
        using var scenario = new EngineScenario(new ExecutorGeometry(50, 32, 4, 9, 3, 32, 0));
        scenario.Admit(Request("first", 16, 1));
        scenario.RunToEnd();
        scenario.Admit(EngineScenario.Request("other", EngineScenario.Prompt(24, 5), 1));
        scenario.RunToEnd();
        var again = scenario.Admit(Request("again", 16, 1));
        scenario.RunToEnd();
        Assert.Equal(8, again.Stream.Timings.CachedPromptTokens);
    }

    [Fact]
    public void A_sequence_preempted_often_enough_is_passed_over()
    {
        using var scenario = new EngineScenario(
            new ExecutorGeometry(50, 64, 4, 14, 4, 32, 0), new EngineOptions { MaxPreemptions = 1, EnablePrefixCaching = false });
        for (var i = 0; i < 12; i++)
        {
            scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(8, i), 30));
        }

        scenario.RunToEnd();
        AssertExpected(scenario);
        Assert.True(Status(scenario).Preemptions > 0);
    }

    [Fact]
    public void Nobody_starves_under_a_stream_of_equal_newcomers()
    {
        using var scenario = new EngineScenario(
            new ExecutorGeometry(50, 64, 4, 14, 4, 32, 0), new EngineOptions { MaxPreemptions = 2, EnablePrefixCaching = false });
        var oldest = scenario.Admit(EngineScenario.Request("oldest", EngineScenario.Prompt(8, 1), 40));
        for (var i = 0; i < 400 && !oldest.Ended; i++)
        {
            if (Status(scenario).Waiting < 3)
            {
                scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(8, i), 12));
            }

            scenario.Step();
        }

        Assert.True(oldest.Ended, "the oldest request was still running after 400 steps");
        scenario.RunToEnd();
    }

    [Fact]
    public void Nobody_enters_in_a_step_that_preempted()
    {
        using var scenario = Crowded(1);
        var entered = new List<int>();
        scenario.Executor.Submitting = plan => entered.Add(plan.NewSlotCount);
        for (var i = 0; i < 6; i++)
        {
            scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(12, i), 20));
        }

        var before = 0L;
        while (scenario.Step())
        {
            if (Status(scenario).Preemptions > before)
            {
                Assert.Equal(0, entered[^1]);
                before = Status(scenario).Preemptions;
            }
        }

        Assert.True(before > 0);
    }

    private static EngineScenario Crowded(int depth) =>
        new(new ExecutorGeometry(50, 64, 4, 14, 3, 32, 0), new EngineOptions { PrefixHashKey = 7 }, depth);

    private static GenerationRequest Request(string id, int length, int maxTokens = 4) =>
        EngineScenario.Request(id, EngineScenario.Prompt(length), maxTokens);

    private static EngineStatus Status(EngineScenario scenario) => scenario.Engine.Status;

    private static void AssertExpected(EngineScenario scenario) => Assert.All(
        scenario.Conversations,
        c => Assert.Equal(EngineScenario.Expected(c.Request, scenario.Engine.Geometry), c.Output));
}
