using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;
using ModelServe.Engine.Tests.Running;

namespace ModelServe.Engine.Tests.Simulation;

public sealed class SimulatedExecutorTests
{
    private static readonly SimulatedCost Cost =
        new(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(0.1));

    [Fact]
    public void Steps_cost_what_the_model_says_one_after_the_other()
    {
        var time = new FakeTimeProvider();
        using var executor = new SimulatedExecutor(EngineScenario.Small, Cost, time, depth: 2);
        var start = time.GetUtcNow();
        executor.Submit(Plan(1, first: 0, count: 4));
        Assert.Equal(start.AddMilliseconds(9), executor.BusyUntil);
        executor.Submit(Plan(2, first: 10, count: 1));
        Assert.Equal(start.AddMilliseconds(9 + 7), executor.BusyUntil);
    }

    [Fact]
    public async Task A_step_is_collected_when_the_clock_has_reached_its_end()
    {
        var time = new FakeTimeProvider();
        using var executor = new SimulatedExecutor(EngineScenario.Small, Cost, time);
        executor.Submit(Plan(1, first: 0, count: 4));
        var collected = Task.Run(() => executor.Collect().StepId, TestContext.Current.CancellationToken);
        Assert.False(collected.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(9));
        Assert.Equal(1, await collected);
    }

    [Fact]
    public async Task A_clock_that_moves_while_the_wait_begins_is_noticed()
    {
        for (var round = 0; round < 2_000; round++)
        {
            var time = new FakeTimeProvider();
            using var executor = new SimulatedExecutor(EngineScenario.Small, Cost, time);
            executor.Submit(Plan(1, first: 0, count: 4));
            var collected = Task.Run(() => executor.Collect().StepId, TestContext.Current.CancellationToken);
            Thread.SpinWait(round % 200);
            time.Advance(TimeSpan.FromMilliseconds(4));
            time.Advance(TimeSpan.FromMilliseconds(5));
            Assert.Equal(1, await collected.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public void Equal_requests_get_equal_tokens_whatever_runs_beside_them()
    {
        var alone = RunWith([[5, 6, 7]]);
        var crowd = RunWith([[1, 2], [5, 6, 7], [9, 9, 9, 9]]);
        Assert.Equal(alone[0], crowd[1]);
    }

    private static List<List<int>> RunWith(int[][] prompts)
    {
        using var executor = new SimulatedExecutor(EngineScenario.Small, default, TimeProvider.System);
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        var conversations = prompts
            .Select((prompt, i) => EngineScenario.Request($"r{i}", prompt, 10))
            .Select(request => new Conversation(request, engine.Admit(request).Stream!))
            .ToList();
        while (engine.RunStep())
        {
        }

        conversations.ForEach(conversation => conversation.Read());
        return [.. conversations.Select(conversation => conversation.Output)];
    }

    private static StepPlan Plan(long id, int first, int count)
    {
        var plan = new StepPlan(EngineScenario.Small) { StepId = id, SequenceCount = 1, TokenCount = count };
        plan.FirstPositions[0] = first;
        plan.TokenStarts[1] = count;
        return plan;
    }
}
