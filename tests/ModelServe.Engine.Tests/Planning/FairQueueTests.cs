using CsCheck;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;
using ModelServe.Engine.Tests.Running;

namespace ModelServe.Engine.Tests.Planning;

/// <summary>Turns between tenants: shares by weight, no starvation, nothing saved up, the tenant's own order inside.</summary>
public sealed class FairQueueTests
{
    private const int MaxCost = 100;

    [Fact]
    public void Tenants_that_always_wait_share_tokens_by_weight_within_one_request_each() =>
        Gen.Select(Gen.Int[1, 16].Array[2, 5], Gen.Int[1, MaxCost].Array[50, 400]).Sample(
            (weights, costs) =>
            {
                using var inbox = new Inbox();
                var queue = new WaitingQueue(4);
                var served = new double[weights.Length];
                var number = 0;
                for (var tenant = 0; tenant < weights.Length; tenant++)
                {
                    queue.Add(NewSequence(inbox, ++number, tenant, weights[tenant]));
                }

                foreach (var cost in costs)
                {
                    var next = queue.First!;
                    var tenant = int.Parse(next.Request.Tenant, System.Globalization.CultureInfo.InvariantCulture);
                    queue.Add(NewSequence(inbox, ++number, tenant, weights[tenant]));
                    queue.Dispatch(next);
                    queue.Charge(next, cost);
                    served[tenant] += cost;
                    Assert.True(queue.IsOrdered());
                    for (var one = 0; one < weights.Length; one++)
                    {
                        for (var other = 0; other < one; other++)
                        {
                            var gap = Math.Abs((served[one] / weights[one]) - (served[other] / weights[other]));
                            Assert.True(gap <= ((double)MaxCost / weights[one]) + ((double)MaxCost / weights[other]) + 1e-6, $"gap {gap}");
                        }
                    }
                }
            },
            iter: 300);

    [Fact]
    public void Who_comes_late_waits_for_at_most_one_request_of_each_of_equal_weight() =>
        Gen.Select(Gen.Int[1, 20], Gen.Int[1, 60], Gen.Int[1, MaxCost]).Sample(
            (tenants, before, cost) =>
            {
                using var inbox = new Inbox();
                var queue = new WaitingQueue(4);
                var number = 0;
                for (var i = 0; i < 200; i++)
                {
                    queue.Add(NewSequence(inbox, ++number, i % tenants, 1));
                }

                Serve(queue, before, cost);
                var late = NewSequence(inbox, ++number, 99, 1);
                queue.Add(late);
                var passed = 0;
                for (; !ReferenceEquals(queue.First, late); passed++)
                {
                    Serve(queue, 1, cost);
                }

                Assert.InRange(passed, 0, tenants);
            },
            iter: 300);

    [Fact]
    public void Absence_saves_nothing_up()
    {
        using var inbox = new Inbox();
        var queue = new WaitingQueue(4);
        for (var i = 0; i < 300; i++)
        {
            queue.Add(NewSequence(inbox, i + 1, 0, 1));
        }

        Serve(queue, 100, 50);
        for (var i = 0; i < 100; i++)
        {
            queue.Add(NewSequence(inbox, 1000 + i, 1, 1));
        }

        var ofLate = 0;
        for (var i = 0; i < 20; i++)
        {
            ofLate += queue.First!.Request.Tenant == "1" ? 1 : 0;
            Serve(queue, 1, 50);
        }

        Assert.InRange(ofLate, 9, 11);
    }

    [Fact]
    public void Inside_a_tenant_tier_and_priority_and_arrival_decide_and_they_do_not_outrank_another_tenant()
    {
        using var inbox = new Inbox();
        var queue = new WaitingQueue(4);
        Sequence modest = NewSequence(inbox, 1, 0, 1), loud = NewSequence(inbox, 2, 1, 1, priority: 1000), paid = NewSequence(inbox, 3, 1, 1, tier: ServiceTier.Priority);
        Sequence flex = NewSequence(inbox, 4, 1, 1, priority: 1000, tier: ServiceTier.Flex), plain = NewSequence(inbox, 5, 1, 1);
        foreach (var sequence in new[] { modest, loud, paid, flex, plain })
        {
            queue.Add(sequence);
        }

        List<Sequence> order = [];
        while (queue.First is { } next)
        {
            order.Add(next);
            queue.Dispatch(next);
            queue.Charge(next, 1);
        }

        Assert.Equal([modest, paid, loud, plain, flex], order);
    }

    [Fact]
    public void A_tenant_that_floods_does_not_hold_up_another()
    {
        using var scenario = new EngineScenario(EngineScenario.Small with { MaxSequences = 1 });
        var flood = Enumerable.Range(0, 20).Select(i => scenario.Admit(
            EngineScenario.Request($"flood {i}", EngineScenario.Prompt(8, i)) with { Tenant = "a", Priority = 1000 })).ToArray();
        scenario.Step();
        var other = scenario.Admit(EngineScenario.Request("other", EngineScenario.Prompt(8, 50)) with { Tenant = "b" });
        while (!other.Ended)
        {
            scenario.Step();
        }

        Assert.InRange(flood.Count(conversation => conversation.Ended), 1, 2);
        scenario.RunToEnd();
        Assert.All(flood, conversation => Assert.Equal(FinishReason.Length, conversation.Finish));
    }

    [Fact]
    public void Requests_that_belong_together_are_admitted_all_or_none()
    {
        using var scenario = new EngineScenario(options: new EngineOptions { MaxQueuedRequests = 3 });
        GenerationRequest[] Requests(int count, string name) =>
            [.. Enumerable.Range(0, count).Select(i => EngineScenario.Request($"{name}{i}", EngineScenario.Prompt(4)))];
        Assert.Equal(RejectionReason.QueueFull, scenario.Engine.AdmitAll(Requests(4, "four"), new TokenStream[4])?.Reason);
        Assert.Equal((0, 0L), (scenario.Engine.Status.Waiting, scenario.Engine.Status.WaitingTokens));
        Assert.Null(scenario.Engine.AdmitAll(Requests(2, "two"), new TokenStream[2]));
        GenerationRequest[] clash = [EngineScenario.Request("new", EngineScenario.Prompt(4)) with { RequestId = "new" }];
        Assert.Equal(RejectionReason.QueueFull, scenario.Engine.AdmitAll([.. clash, .. Requests(1, "x")], new TokenStream[2])?.Reason);
        GenerationRequest twin = EngineScenario.Request("twin", EngineScenario.Prompt(4));
        scenario.RunToEnd();
        Assert.Equal(RejectionReason.DuplicateRequest, scenario.Engine.AdmitAll([twin, twin], new TokenStream[2])?.Reason);
        Assert.Equal((0, 0L), (scenario.Engine.Status.Waiting, scenario.Engine.Status.WaitingTokens));
        Assert.Null(scenario.Engine.AdmitAll([twin], new TokenStream[1]));
    }

    [Fact]
    public void Groups_that_race_for_places_get_whole_groups_of_them()
    {
        for (var round = 0; round < 50; round++)
        {
            var budget = new QueueBudget(10, 1_000);
            var groups = 0;
            Parallel.For(0, 64, _ => Interlocked.Add(ref groups, budget.Reserve(3, 30, ServiceTier.Default) == QueueBudget.Outcome.Reserved ? 1 : 0));
            Assert.Equal((3, 9, 90L), (groups, budget.Requests, budget.Tokens));
        }
    }

    [Fact]
    public void Flex_is_turned_away_when_the_queue_is_half_full()
    {
        var budget = new QueueBudget(4, 1_000);
        Assert.Equal(QueueBudget.Outcome.Reserved, budget.Reserve(2, 2, ServiceTier.Flex));
        Assert.Equal(QueueBudget.Outcome.TooManyRequests, budget.Reserve(1, 1, ServiceTier.Flex));
        Assert.Equal(QueueBudget.Outcome.Reserved, budget.Reserve(2, 2, ServiceTier.Default));
        Assert.Equal(QueueBudget.Outcome.TooManyRequests, budget.Reserve(1, 1, ServiceTier.Priority));
    }

    private static void Serve(WaitingQueue queue, int requests, int cost)
    {
        for (var i = 0; i < requests; i++)
        {
            var next = queue.First!;
            queue.Dispatch(next);
            queue.Charge(next, cost);
        }
    }

    private static Sequence NewSequence(
        Inbox inbox, int arrival, int tenant, int weight, int priority = 0, ServiceTier tier = ServiceTier.Default) =>
        new(
            EngineScenario.Request($"r{arrival}", [1], 1) with
            {
                Tenant = tenant.ToString(System.Globalization.CultureInfo.InvariantCulture),
                TenantWeight = weight,
                Priority = priority,
                Tier = tier,
            },
            8,
            inbox,
            new QueueBudget(100, 100))
        {
            Arrival = arrival,
        };
}
