using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Engine.Tests.Running;

/// <summary>What a watchdog sees of an engine, and what it can do about a step that never returns.</summary>
public sealed class HeartbeatTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Each_step_is_counted_with_its_tokens_and_its_time()
    {
        using var scenario = new EngineScenario();
        FakeTimeProvider time = scenario.Time;
        scenario.Executor.Collecting = _ => time.Advance(TimeSpan.FromMilliseconds(3));
        scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(7), 3));
        scenario.RunToEnd();

        EngineStatus status = scenario.Engine.Status;
        Assert.Equal(7 + 1 + 1, status.StepTokens.Sum);
        Assert.Equal([2, 1], new[] { status.StepTokens.CountIn(0), status.StepTokens.CountIn(1) });
        Assert.Equal(0.009, status.StepSeconds.Sum, 6);
        Assert.Equal(3, Enumerable.Range(0, status.StepSeconds.Bounds.Count + 1).Sum(status.StepSeconds.CountIn));
    }

    [Fact]
    public void An_engine_that_rested_for_an_hour_is_no_older_than_its_first_step()
    {
        using var scenario = new EngineScenario();
        FakeTimeProvider time = scenario.Time;
        time.Advance(TimeSpan.FromHours(1));
        DateTimeOffset? during = null;
        scenario.Executor.Collecting = _ => during ??= scenario.Engine.Status.LastProgress;
        scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(7), 3));
        scenario.RunToEnd();
        Assert.Equal(time.GetUtcNow(), during);
    }

    [Fact]
    public void An_engine_that_looks_again_after_a_pause_is_no_older_than_its_look()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(7), 3));
        scenario.Step();
        _ = scenario.Engine.PauseAsync(PauseMode.Keep, Token);
        scenario.Step();
        scenario.Time.Advance(TimeSpan.FromHours(1));
        // It plans nothing yet; when it is told to go on, the first step is seen to run before it is submitted.
        scenario.Step();
        Assert.Equal((1, scenario.Time.GetUtcNow()), (scenario.Engine.Status.Running, scenario.Engine.Status.LastProgress));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_step_that_is_given_up_ends_every_request_once_and_its_late_result_is_dropped(int depth)
    {
        using var entered = new ManualResetEventSlim();
        using var open = new ManualResetEventSlim();
        var geometry = new ExecutorGeometry(300, 512, 16, 65, 4, 256);
        using var executor = new FakeExecutor(geometry, depth, prefix => prefix.Length % 50);
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        executor.Collecting = plan =>
        {
            if (plan.StepId == 3)
            {
                entered.Set();
                open.Wait(Token);
            }
        };
        TokenStream[] streams = [.. Enumerable.Range(0, 6).Select(
            i => engine.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(9, i), 100)).Stream!)];
        Assert.False(engine.GiveUpStep("nothing runs"));
        engine.Start();
        entered.Wait(Token);

        Assert.True(engine.GiveUpStep("the step did not return"));
        Assert.False(engine.GiveUpStep("again"));
        foreach (TokenStream stream in streams)
        {
            Assert.Equal([FinishReason.Error], await EndingsAsync(stream));
        }

        Assert.Equal("the step did not return", engine.Status.Failure);
        Assert.Equal((0, 0, 0), (engine.Status.Running, engine.Status.Waiting, engine.Status.BlocksInUse));
        AdmissionResult late = engine.Admit(EngineScenario.Request("late", EngineScenario.Prompt(9), 1));
        Assert.Equal(RejectionReason.EngineFailed, late.Rejection?.Reason);
        long steps = engine.Status.Steps;
        open.Set();
        engine.Dispose();
        Assert.Equal(steps, engine.Status.Steps);
    }

    [Fact]
    public void A_jump_of_the_wall_clock_does_not_reach_the_steady_clock()
    {
        var wall = new JumpingClock();
        TimeProvider steady = new SteadyTimeProvider(wall);
        DateTimeOffset before = steady.GetUtcNow();
        wall.Offset = TimeSpan.FromHours(-1);
        wall.Monotonic += TimeSpan.FromSeconds(2);
        Assert.Equal(TimeSpan.FromSeconds(2), steady.GetUtcNow() - before);
    }

    private static async Task<List<FinishReason>> EndingsAsync(TokenStream stream)
    {
        var delta = new TokenDelta();
        var endings = new List<FinishReason>();
        while (await stream.ReadAsync(delta, Token))
        {
            if (delta.FinishReason != FinishReason.None)
            {
                endings.Add(delta.FinishReason);
            }
        }

        return endings;
    }

    /// <summary>A wall clock that is set while the monotonic one goes on.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public TimeSpan Monotonic { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + Offset + Monotonic;

        public override long GetTimestamp() => Monotonic.Ticks;
    }
}
