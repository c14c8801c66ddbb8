using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

public sealed class WaitForecastTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(1000, 100.0, 9.0, true)]
    [InlineData(1000, 100.0, 10.0, false)]
    [InlineData(0, 100.0, 0.1, false)]
    [InlineData(1000, null, 0.1, false)]
    public void A_wait_beyond_the_deadline_is_refused_and_nothing_else_is(long ahead, double? rate, double left, bool refused)
    {
        var rejection = WaitForecast.Refusal(Request(left), ahead, rate, Now);
        Assert.Equal(refused, rejection is not null);
        Assert.True(rejection is null || rejection is { Reason: RejectionReason.WaitTooLong, Field: "deadline" });
    }

    [Fact]
    public void The_refusal_says_when_to_come_back() =>
        Assert.Equal(TimeSpan.FromSeconds(6), WaitForecast.Refusal(Request(4), 1000, 100, Now)!.RetryAfter);

    [Fact]
    public void Who_is_put_before_others_is_not_foretold()
    {
        Assert.Null(WaitForecast.Refusal(Request(1) with { Priority = 1 }, 1000, 100, Now));
        Assert.Null(WaitForecast.Refusal(Request(1) with { Tier = ServiceTier.Priority }, 1000, 100, Now));
    }

    [Fact]
    public void The_rate_is_that_of_the_time_in_which_somebody_waits_and_unknown_at_first()
    {
        var time = new FakeTimeProvider();
        var rate = new QueueRate(time);
        rate.Observe(0, somebodyWaits: true);
        long total = 0;
        for (var i = 0; i < 100; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            rate.Observe(total += 50, somebodyWaits: true);
            Assert.Equal(i < 19, rate.TokensPerSecond is null);
        }

        Assert.Equal(500, rate.TokensPerSecond!.Value, 3);
        rate.Observe(total, somebodyWaits: false);
        time.Advance(TimeSpan.FromHours(1));
        rate.Observe(total, somebodyWaits: true);
        Assert.Equal(500, rate.TokensPerSecond!.Value, 3);
        for (var i = 0; i < 600; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            rate.Observe(total += 10, somebodyWaits: true);
        }

        Assert.InRange(rate.TokensPerSecond!.Value, 99, 103);
    }

    [Fact]
    public void Another_tenants_flood_is_not_ahead_of_me()
    {
        var backlogs = new TenantBacklogs();
        var flood = Enumerable.Range(0, 100).Select(_ => backlogs.Enter("flood", 1, 10)).ToArray();
        Assert.Equal(0, backlogs.Ahead("me", 1, 1000));
        Assert.Equal(1000, backlogs.Ahead("flood", 1, 1000));
        var mine = backlogs.Enter("me", 1, 10);
        Assert.Equal(20, backlogs.Ahead("me", 1, 1010));
        mine.Remove(10);
        Assert.All(flood, backlog => backlog.Remove(10));
        Assert.Equal(0, backlogs.Ahead("flood", 1, 0));
    }

    [Fact]
    public void An_engine_that_has_measured_its_queue_refuses_what_cannot_begin_in_time()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        for (var i = 0; i < 40; i++)
        {
            scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(8, i)));
        }

        // One request of 8 prompt tokens leaves the queue every 8 steps of a second: one token a second.
        for (var i = 0; i < 80; i++)
        {
            scenario.Time.Advance(TimeSpan.FromSeconds(1));
            scenario.Step();
        }

        GenerationRequest late = EngineScenario.Request("late", EngineScenario.Prompt(8, 99)) with { Deadline = scenario.Time.GetUtcNow().AddSeconds(100) };
        Assert.Equal(RejectionReason.WaitTooLong, scenario.Engine.Admit(late).Rejection?.Reason);
        Assert.Null(scenario.Engine.Admit(late with { Deadline = scenario.Time.GetUtcNow().AddSeconds(1000) }).Rejection);
    }

    private static GenerationRequest Request(double secondsLeft) =>
        EngineScenario.Request("r", [1]) with { Deadline = Now.AddSeconds(secondsLeft) };
}
