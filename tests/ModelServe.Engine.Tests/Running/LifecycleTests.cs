using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>Whole conversations stepped by hand: every way in which a request can end.</summary>
public sealed class LifecycleTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_request_ends_at_its_number_of_tokens(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var conversation = scenario.Admit(Request("a", 10, 7));
        scenario.RunToEnd();
        Assert.Equal(EngineScenario.Expected(conversation.Request, EngineScenario.Small), conversation.Output);
        Assert.Equal((FinishReason.Length, 7), (conversation.Finish, conversation.Output.Count));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_step_is_planned_beyond_a_sure_end(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        scenario.Admit(Request("a", 10, 7));
        scenario.RunToEnd();
        Assert.Equal(7, scenario.Executor.StepsCollected);
    }

    [Fact]
    public void A_request_ends_when_the_context_is_full()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(Request("a", 60, 30));
        scenario.RunToEnd();
        Assert.Equal((FinishReason.ContextFull, 4), (conversation.Finish, conversation.Output.Count));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_stop_token_ends_the_request_and_is_named(int depth)
    {
        using var scenario = new EngineScenario(depth: depth, nextToken: prefix => prefix.Length);
        var conversation = scenario.Admit(Request("a", 10, 30) with { StopTokenIds = [13, 20] });
        scenario.RunToEnd();
        Assert.Equal([10, 11, 12, 13], conversation.Output);
        Assert.Equal((FinishReason.Stop, 13), (conversation.Finish, conversation.StopToken));
    }

    [Fact]
    public void A_stop_token_before_the_minimum_does_not_end_the_request()
    {
        using var scenario = new EngineScenario(nextToken: prefix => prefix.Length);
        var conversation = scenario.Admit(Request("a", 10, 30) with
        {
            StopTokenIds = [12, 13],
            Sampling = new SamplingOptions { MinTokens = 3, StopTokenIds = [12, 13] },
        });
        scenario.RunToEnd();
        Assert.Equal([10, 11, 12, 13], conversation.Output);
    }

    [Fact]
    public void A_request_cancelled_before_the_engine_saw_it_does_no_work()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(Request("a", 10, 7));
        conversation.Stream.Cancel(FinishReason.SlowReader);
        scenario.Step();
        Assert.Equal((FinishReason.SlowReader, 0L), (conversation.Finish, scenario.Executor.StepsCollected));
        Assert.Equal(0, scenario.Engine.Status.WaitingTokens);
    }

    [Fact]
    public void A_request_cancelled_while_it_waits_does_no_work()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        scenario.Admit(Request("runs", 10, 7));
        var waits = scenario.Admit(Request("waits", 10, 7));
        scenario.Step();
        Assert.True(scenario.Engine.Abort("waits", FinishReason.Cancelled));
        scenario.Step();
        Assert.Equal(FinishReason.Cancelled, waits.Finish);
        Assert.Empty(waits.Output);
        scenario.RunToEnd();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_running_request_that_is_cancelled_frees_its_blocks_within_one_step(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var conversation = scenario.Admit(Request("a", 10, 20));
        for (var i = 0; i < 6; i++)
        {
            scenario.Step();
        }

        conversation.Stream.Dispose();
        conversation.Stream.Dispose();
        scenario.Step();
        Assert.Equal(FinishReason.Cancelled, conversation.Finish);
        Assert.Equal((0, 0), (scenario.Engine.Status.Running, scenario.Engine.Status.BlocksInUse));
        scenario.RunToEnd();
        Assert.Equal(1, conversation.Endings);
        Assert.Equal(32, scenario.Engine.Planner.Ledger.Pool.FreeCount);
    }

    [Fact]
    public void Aborting_a_name_that_is_not_live_says_so()
    {
        using var scenario = new EngineScenario();
        Assert.False(scenario.Engine.Abort("nobody", FinishReason.Cancelled));
    }

    [Fact]
    public void A_deadline_ends_a_request_that_waits_without_starting_it()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        scenario.Admit(Request("runs", 10, 20));
        var waits = scenario.Admit(Request("waits", 10, 7) with { Deadline = scenario.Time.GetUtcNow().AddSeconds(1) });
        scenario.Step();
        scenario.Time.Advance(TimeSpan.FromSeconds(1));
        scenario.Step();
        Assert.Equal(FinishReason.Deadline, waits.Finish);
        Assert.Null(waits.Stream.Timings.Scheduled);
    }

    [Fact]
    public void A_deadline_that_passed_before_the_engine_looked_starts_nothing()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(Request("a", 10, 7) with { Deadline = scenario.Time.GetUtcNow().AddSeconds(1) });
        scenario.Time.Advance(TimeSpan.FromSeconds(2));
        scenario.Step();
        Assert.Equal((FinishReason.Deadline, 0L), (conversation.Finish, scenario.Executor.StepsCollected));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_deadline_ends_a_running_request_at_the_next_step(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var conversation = scenario.Admit(Request("a", 10, 40) with { Deadline = scenario.Time.GetUtcNow().AddSeconds(1) });
        for (var i = 0; i < 5; i++)
        {
            scenario.Step();
        }

        var before = conversation.Output.Count;
        scenario.Time.Advance(TimeSpan.FromSeconds(1));
        scenario.Step();
        Assert.Equal((FinishReason.Deadline, before), (conversation.Finish, conversation.Output.Count));
        Assert.Equal(0, scenario.Engine.Status.Running);
        scenario.RunToEnd();
    }

    [Fact]
    public void Many_deadlines_of_one_moment_all_end()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        scenario.Admit(Request("runs", 10, 20));
        for (var i = 0; i < 20; i++)
        {
            scenario.Admit(Request($"w{i}", 2, 2) with
            {
                Priority = i % 3,
                Deadline = scenario.Time.GetUtcNow().AddSeconds(i % 2 == 0 ? 5 : 50),
            });
        }

        scenario.Step();
        scenario.Time.Advance(TimeSpan.FromSeconds(5));
        scenario.Step();
        Assert.Equal(10, scenario.Conversations.Count(conversation => conversation.Finish == FinishReason.Deadline));
    }

    [Fact]
    public void A_failed_sequence_ends_alone()
    {
        using var scenario = new EngineScenario(
            nextToken: prefix => prefix[0] == 3 && prefix.Length == 8 ? StepResult.Failed : prefix.Length % 50);
        var fails = scenario.Admit(EngineScenario.Request("fails", [3, 1, 2], 20));
        var lives = scenario.Admit(EngineScenario.Request("lives", [4, 1, 2], 20));
        scenario.RunToEnd();
        Assert.Equal((FinishReason.Error, 5), (fails.Finish, fails.Output.Count));
        Assert.NotNull(fails.Error);
        Assert.Equal((FinishReason.Length, 20), (lives.Finish, lives.Output.Count));
        Assert.Null(scenario.Engine.Status.Failure);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    public void A_failed_executor_ends_every_stream_once_and_refuses_what_comes_later(int depth, bool onSubmit)
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 }, depth: depth);
        scenario.Admit(Request("runs", 10, 20));
        scenario.Admit(Request("waits", 10, 20));
        for (var i = 0; i < 4; i++)
        {
            scenario.Step();
        }

        scenario.Executor.Submitting = _ => Throw(onSubmit, new ExecutorFailedException("the device fell off the bus"));
        scenario.Executor.Collecting = _ => Throw(!onSubmit, new InvalidOperationException("unforeseen"));
        scenario.Step();
        scenario.Step();
        Assert.All(scenario.Conversations, c => Assert.Equal((FinishReason.Error, 1), (c.Finish, c.Endings)));
        Assert.Contains(onSubmit ? "fell off the bus" : "unforeseen", scenario.Engine.Status.Failure, StringComparison.Ordinal);
        Assert.All(scenario.Conversations, c => Assert.Equal(scenario.Engine.Status.Failure, c.Error));
        var rejection = scenario.Engine.Admit(Request("later", 2, 2)).Rejection;
        Assert.Equal(RejectionReason.EngineFailed, rejection?.Reason);
    }

    [Fact]
    public void A_result_of_another_step_fails_the_engine()
    {
        using var executor = new LyingExecutor(EngineScenario.Small);
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        var conversation = new Conversation(Request("a", 2, 2), engine.Admit(Request("a", 2, 2)).Stream!);
        engine.RunStep();
        conversation.Read();
        Assert.Equal(FinishReason.Error, conversation.Finish);
        Assert.Contains("returned step 8", conversation.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Logprobs_and_alternatives_arrive_with_their_tokens()
    {
        using var scenario = new EngineScenario(nextToken: prefix => prefix.Length % 50);
        var conversation = scenario.Admit(Request("a", 10, 3) with { Sampling = new SamplingOptions { TopLogprobs = 2 } });
        scenario.Engine.RunStep();
        scenario.Engine.RunStep();
        scenario.Engine.RunStep();
        conversation.Read();
        Assert.Equal([10, 11, 12], conversation.Delta.TokenIds);
        Assert.Equal([-1f / 11, -1f / 12, -1f / 13], conversation.Delta.Logprobs);
        Assert.Equal([2, 2, 2], conversation.Delta.TopCounts);
        Assert.Equal([10, 11, 11, 12, 12, 13], conversation.Delta.TopTokenIds);
        Assert.Equal(6, conversation.Delta.TopLogprobs.Count);
    }

    [Fact]
    public void Timings_are_those_of_the_clock()
    {
        using var scenario = new EngineScenario();
        var start = scenario.Time.GetUtcNow();
        var conversation = scenario.Admit(Request("a", 20, 2));
        for (var i = 0; i < 3; i++)
        {
            scenario.Time.Advance(TimeSpan.FromSeconds(1));
            scenario.Step();
        }

        var timings = conversation.Stream.Timings;
        Assert.Equal(
            (start, start.AddSeconds(1), start.AddSeconds(2), start.AddSeconds(3)),
            (timings.Arrived, timings.Scheduled, timings.FirstToken, timings.Finished));
        Assert.Equal(start.AddSeconds(3), scenario.Engine.Status.LastProgress);
    }

    [Fact]
    public void Draining_lets_the_admitted_finish_and_then_completes()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(Request("a", 10, 7));
        scenario.Step();
        var drained = scenario.Engine.DrainAsync(CancellationToken.None);
        Assert.True(scenario.Engine.Status.Draining);
        Assert.False(drained.IsCompleted);
        scenario.RunToEnd();
        Assert.True(scenario.Engine.Drained.IsCompletedSuccessfully);
        Assert.Equal(FinishReason.Length, conversation.Finish);
    }

    [Fact]
    public void Ending_all_ends_running_and_waiting_with_that_reason()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        scenario.Admit(Request("runs", 10, 20));
        scenario.Admit(Request("waits", 10, 20));
        scenario.Step();
        scenario.Engine.BeginDrain();
        scenario.Engine.EndAll(FinishReason.Drained);
        scenario.Step();
        Assert.All(scenario.Conversations, c => Assert.Equal((FinishReason.Drained, 1), (c.Finish, c.Endings)));
        Assert.True(scenario.Engine.Drained.IsCompletedSuccessfully);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Disposing_ends_what_is_live(int depth)
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 }, depth: depth);
        scenario.Admit(Request("runs", 10, 20));
        scenario.Admit(Request("waits", 10, 20));
        scenario.Step();
        scenario.Step();
        scenario.Admit(Request("arrives", 10, 20));
        scenario.Engine.Dispose();
        scenario.ReadAll();
        Assert.All(scenario.Conversations, c => Assert.Equal((FinishReason.Drained, 1), (c.Finish, c.Endings)));
        Assert.Equal(RejectionReason.Draining, scenario.Engine.Admit(Request("later", 1, 1)).Rejection?.Reason);
    }

    [Fact]
    public void A_lost_block_is_found_and_mended_when_the_engine_falls_idle()
    {
        using var scenario = new EngineScenario();
        scenario.Engine.Planner.Ledger.Pool.Rent(out _);
        var conversation = scenario.Admit(Request("a", 10, 3));
        while (scenario.Engine.RunStep())
        {
        }

        scenario.Step();
        Assert.Equal(["1 blocks and 0 slots are taken although no sequence runs"], scenario.Healed);
        Assert.Equal((1L, 32), (scenario.Engine.Status.Healings, scenario.Engine.Planner.Ledger.Pool.FreeCount));
        Assert.Equal(FinishReason.Length, conversation.Finish);
    }

    [Fact]
    public void A_request_that_lost_blocks_keep_out_enters_after_mending()
    {
        using var scenario = new EngineScenario();
        for (var i = 0; i < 30; i++)
        {
            scenario.Engine.Planner.Ledger.Pool.Rent(out _);
        }

        var conversation = scenario.Admit(Request("a", 20, 3));
        scenario.Engine.RunStep();
        scenario.RunToEnd();
        Assert.Equal(FinishReason.Length, conversation.Finish);
        Assert.Single(scenario.Healed);
    }

    private static GenerationRequest Request(string id, int length, int maxTokens) =>
        EngineScenario.Request(id, EngineScenario.Prompt(length), maxTokens);

    private static void Throw(bool condition, Exception exception)
    {
        if (condition)
        {
            throw exception;
        }
    }

    private sealed class LyingExecutor(ExecutorGeometry geometry) : IStepExecutor
    {
        private readonly StepResult _result = new(geometry) { StepId = 8, SequenceCount = 1 };

        public ExecutorGeometry Geometry => geometry;

        public int Depth => 1;

        public void Submit(StepPlan plan)
        {
        }

        public StepResult Collect() => _result;

        public void Dispose()
        {
        }
    }
}
