using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Engine.Tests.Running;

/// <summary>What a model does before requests reach it, and what is left of it afterwards.</summary>
public sealed class WarmUpTests : IDisposable
{
    private static readonly EngineOptions Options = new() { MixedPrefillTokens = 8, PrefillStretch = 1.75 };

    private readonly FakeTimeProvider _time = new();
    private readonly FakeExecutor _executor = new(EngineScenario.Small with { MaxModelLength = 200, BlockCount = 400, MaxSequences = 8, MaxBatchedTokens = 128 });

    /// <inheritdoc/>
    public void Dispose() => _executor.Dispose();

    [Fact]
    public async Task It_runs_as_long_as_it_may_and_leaves_only_what_steps_take()
    {
        StepsTake(TimeSpan.FromMilliseconds(2));
        using var engine = new EngineLoop(_executor, Options, _time);
        engine.Start(warmUp: TimeSpan.FromSeconds(1));
        var report = await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Null(report.Failure);
        Assert.InRange(report.Steps, 400, 501);
        Assert.InRange(report.Time.TotalSeconds, 0.9, 1.1);
        var status = engine.Status;
        Assert.Equal((0L, 0L, 0L, 0L, 0), (status.Steps, status.PromptTokens, status.GeneratedTokens, status.PrefixQueries, status.BlocksInUse));
        Assert.Equal(0, status.StepSeconds.Sum);
        Assert.Equal(0, await engine.FlushPrefixCacheAsync(TestContext.Current.CancellationToken));
        Assert.True(engine.Planner.Portions.Times.IsKnown);
    }

    [Fact]
    public async Task Requests_that_come_meanwhile_wait_and_are_answered_as_ever()
    {
        StepsTake(TimeSpan.FromMilliseconds(2));
        using var engine = new EngineLoop(_executor, Options, _time);
        var request = EngineScenario.Request("early", EngineScenario.Prompt(20));
        var conversation = new Conversation(request, engine.Admit(request).Stream!);
        engine.Start(warmUp: TimeSpan.FromSeconds(0.1));
        await conversation.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Equal(EngineScenario.Expected(request, _executor.Geometry), conversation.Output);
        Assert.Equal(conversation.Output.Count, engine.Status.GeneratedTokens);
    }

    [Fact]
    public async Task It_ends_by_itself_where_the_clock_stands_still()
    {
        using var engine = new EngineLoop(_executor, Options, _time);
        engine.Start(warmUp: TimeSpan.FromSeconds(1));
        Assert.Null((await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken)).Failure);
    }

    [Fact]
    public async Task None_is_no_step()
    {
        using var engine = new EngineLoop(_executor, Options, _time);
        engine.Start();
        Assert.Equal(new WarmUpReport(0, TimeSpan.Zero, null), await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken));
        Assert.Equal(0, _executor.StepsCollected);
    }

    [Fact]
    public async Task A_model_that_fails_at_it_serves_nobody_and_says_why()
    {
        _executor.Collecting = _ => throw new ExecutorFailedException("broken");
        using var engine = new EngineLoop(_executor, Options, _time);
        engine.Start(warmUp: TimeSpan.FromSeconds(1));
        Assert.Equal("broken", (await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken)).Failure);
        Assert.Equal("broken", engine.Status.Failure);
        Assert.NotNull(engine.Admit(EngineScenario.Request("late", [1])).Rejection);
    }

    [Fact]
    public async Task An_engine_that_is_stopped_meanwhile_stops_at_the_next_step()
    {
        StepsTake(TimeSpan.Zero);
        // Not on the engine's thread, which the end of the test waits for.
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _executor.Submitting = _ => begun.TrySetResult();
        using var engine = new EngineLoop(_executor, Options, _time);
        engine.Start(warmUp: TimeSpan.FromDays(1));
        await begun.Task.WaitAsync(TestContext.Current.CancellationToken);
        engine.Dispose();
        Assert.True((await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken)).Time < TimeSpan.FromDays(1));
    }

    [Fact]
    public async Task A_step_that_does_not_return_is_given_up_as_one_of_the_engines_own()
    {
        using var back = new ManualResetEventSlim();
        var hangs = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _executor.Submitting = _ =>
        {
            hangs.TrySetResult();
            back.Wait();
        };
        using var engine = new EngineLoop(_executor, Options, _time);
        var request = EngineScenario.Request("early", EngineScenario.Prompt(20));
        var conversation = new Conversation(request, engine.Admit(request).Stream!);
        engine.Start(warmUp: TimeSpan.FromSeconds(1));
        await hangs.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.True(engine.GiveUpStep("hung"));
        Assert.True(engine.HasLostStep);
        Assert.Equal("hung", engine.Status.Failure);
        conversation.Read();
        Assert.Equal(FinishReason.Error, conversation.Finish);
        Assert.False(engine.WarmedUp.IsCompleted);
        engine.Dispose();
        back.Set();
    }

    [Theory]
    [InlineData(1, 4, 1, 2)]
    [InlineData(2, 2, 16, 2)]
    [InlineData(1, 2, 2, 6)]
    public async Task The_smallest_models_warm_up_too(int depth, int blockTokens, int maxSequences, int length)
    {
        var geometry = new ExecutorGeometry(3, length, blockTokens, 8, maxSequences, maxSequences, 0);
        using var executor = new FakeExecutor(geometry, depth);
        using var engine = new EngineLoop(executor, Options with { MixedPrefillTokens = 1 }, _time);
        engine.Start(warmUp: TimeSpan.FromSeconds(1));
        var report = await engine.WarmedUp.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Null(report.Failure);
        Assert.True(report.Steps > 0);
        Assert.Equal(0, engine.Status.BlocksInUse);
    }

    private void StepsTake(TimeSpan time) => _executor.Collecting = _ => _time.Advance(time);
}
