using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>What an operator's orders do between two steps.</summary>
public sealed class PauseTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Keep_freezes_running_requests_and_resume_continues_them_unchanged(int depth)
    {
        using var scenario = new EngineScenario(depth: depth);
        var request = EngineScenario.Request("a", EngineScenario.Prompt(6), 12);
        var conversation = scenario.Admit(request);
        Steps(scenario, 4);
        Task<bool> still = scenario.Engine.PauseAsync(PauseMode.Keep, Token);
        Steps(scenario, 3);
        Assert.True(await still);
        int frozenAt = conversation.Output.Count;
        Assert.False(scenario.Step());
        Steps(scenario, 5);
        Assert.Equal(frozenAt, conversation.Output.Count);
        Assert.Equal(1, scenario.Engine.Status.Running);
        Assert.Equal(PauseMode.Keep, scenario.Engine.Status.Pause);

        _ = scenario.Engine.PauseAsync(PauseMode.None, Token);
        scenario.RunToEnd();
        Assert.Equal(EngineScenario.Expected(request, EngineScenario.Small), conversation.Output);
        Assert.Equal(0, scenario.Engine.Status.BlocksInUse);
    }

    [Fact]
    public async Task Wait_lets_running_requests_finish_and_holds_the_others()
    {
        using var scenario = new EngineScenario();
        var running = scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(6), 6));
        Steps(scenario, 2);
        Task<bool> still = scenario.Engine.PauseAsync(PauseMode.Wait, Token);
        var late = scenario.Admit(EngineScenario.Request("b", EngineScenario.Prompt(6, 2), 6));
        scenario.RunToEnd();
        Assert.True(await still);
        Assert.True(running.Ended);
        Assert.Empty(late.Output);
        Assert.Equal(1, scenario.Engine.Status.Waiting);
        _ = scenario.Engine.PauseAsync(PauseMode.None, Token);
        scenario.RunToEnd();
        Assert.Equal(6, late.Output.Count);
    }

    [Fact]
    public void A_deadline_passes_while_the_engine_stands_still()
    {
        using var scenario = new EngineScenario();
        _ = scenario.Engine.PauseAsync(PauseMode.Keep, Token);
        var request = EngineScenario.Request("a", EngineScenario.Prompt(6)) with
        {
            Deadline = scenario.Time.GetUtcNow() + TimeSpan.FromSeconds(1),
        };
        var conversation = scenario.Admit(request);
        Steps(scenario, 2);
        scenario.Time.Advance(TimeSpan.FromSeconds(2));
        scenario.Step();
        Assert.Equal(FinishReason.Deadline, conversation.Finish);
    }

    [Fact]
    public void A_frozen_request_can_be_cancelled()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(6)));
        Steps(scenario, 2);
        _ = scenario.Engine.PauseAsync(PauseMode.Keep, Token);
        scenario.Step();
        conversation.Stream.Cancel(FinishReason.Cancelled);
        scenario.Step();
        Assert.Equal(FinishReason.Cancelled, conversation.Finish);
        Assert.Equal(0, scenario.Engine.Status.BlocksInUse);
    }

    [Fact]
    public async Task A_resume_tells_those_who_wait_that_the_standstill_was_not_reached()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(6), 20));
        Steps(scenario, 2);
        Task<bool> still = scenario.Engine.PauseAsync(PauseMode.Wait, Token);
        scenario.Step();
        Task<bool> resumed = scenario.Engine.PauseAsync(PauseMode.None, Token);
        scenario.Step();
        Assert.False(await still);
        Assert.True(await resumed);
    }

    [Fact]
    public async Task A_stopped_engine_answers_orders()
    {
        var scenario = new EngineScenario();
        scenario.Dispose();
        Assert.False(await scenario.Engine.PauseAsync(PauseMode.Keep, Token));
        Assert.Equal(0, await scenario.Engine.FlushPrefixCacheAsync(Token));
    }

    [Fact]
    public async Task A_paused_engine_thread_sleeps_until_the_next_deadline()
    {
        using var executor = new ModelServe.Engine.Simulation.FakeExecutor(EngineScenario.Small, 1);
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        engine.Start();
        Assert.True(await engine.PauseAsync(PauseMode.Keep, Token));
        GenerationRequest request;
        TokenStream? stream;
        // One that has passed before it is read is refused; then a later one is tried.
        for (var left = TimeSpan.FromMilliseconds(50); ; left *= 2)
        {
            request = EngineScenario.Request("a", EngineScenario.Prompt(6)) with { Deadline = TimeProvider.System.GetUtcNow() + left };
            if (engine.Admit(request).IsAccepted(out stream, out var refused))
            {
                break;
            }

            Assert.Equal(RejectionReason.DeadlinePassed, refused.Reason);
        }

        var conversation = new Conversation(request, stream);
        await conversation.ReadToEndAsync(Token);
        Assert.Equal(FinishReason.Deadline, conversation.Finish);
    }

    [Fact]
    public async Task A_flush_forgets_every_prefix_and_harms_no_running_request()
    {
        using var scenario = new EngineScenario();
        int[] prompt = EngineScenario.Prompt(12);
        scenario.Admit(EngineScenario.Request("a", prompt, 2));
        scenario.RunToEnd();
        var request = EngineScenario.Request("b", prompt, 20);
        var running = scenario.Admit(request);
        Steps(scenario, 3);
        Assert.True(running.Stream.Timings.CachedPromptTokens > 0);
        Task<int> flushed = scenario.Engine.FlushPrefixCacheAsync(Token);
        scenario.Step();
        Assert.True(await flushed > 0);
        scenario.RunToEnd();
        Assert.Equal(EngineScenario.Expected(request, EngineScenario.Small), running.Output);

        Task<int> again = scenario.Engine.FlushPrefixCacheAsync(Token);
        scenario.Step();
        await again;
        var cold = scenario.Admit(EngineScenario.Request("c", prompt, 2));
        scenario.RunToEnd();
        Assert.Equal(0, cold.Stream.Timings.CachedPromptTokens);
        Assert.Empty(scenario.Healed);
    }

    private static void Steps(EngineScenario scenario, int count)
    {
        for (var i = 0; i < count; i++)
        {
            scenario.Step();
        }
    }
}
