using CsCheck;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;
using ModelServe.Engine.Tests.Running;

namespace ModelServe.Engine.Tests.Planning;

public sealed class QueueTests
{
    [Fact]
    public void The_waiting_queue_gives_higher_priority_first_and_then_earlier_arrival() =>
        Gen.Select(Gen.Int[-2, 2], Gen.Int[0, 4]).Array[0, 60].Sample(
            operations =>
            {
                using var inbox = new Inbox();
                var queue = new WaitingQueue(2);
                var model = new List<Sequence>();
                for (var i = 0; i < operations.Length; i++)
                {
                    var (priority, kind) = operations[i];
                    if (kind == 0 && model.Count > 0)
                    {
                        var chosen = model[i % model.Count];
                        queue.Remove(chosen);
                        model.Remove(chosen);
                    }
                    else
                    {
                        var sequence = NewSequence(inbox, i, priority);
                        queue.Add(sequence);
                        model.Add(sequence);
                    }

                    Assert.True(queue.IsOrdered());
                    Assert.Equal(model.Count, queue.Count);
                    Assert.Same(model.OrderByDescending(s => s.Request.Priority).ThenBy(s => s.Arrival).FirstOrDefault(), queue.First);
                }
            },
            iter: 1_000);

    [Fact]
    public void The_running_set_keeps_order_and_gives_every_slot_once() =>
        Gen.Select(Gen.Int[-2, 2], Gen.Int[0, 2]).Array[0, 60].Sample(
            operations =>
            {
                using var inbox = new Inbox();
                var running = new RunningSet(8);
                var model = new List<Sequence>();
                for (var i = 0; i < operations.Length; i++)
                {
                    var (priority, kind) = operations[i];
                    if (model.Count > 0 && (kind == 0 || running.FreeSlots == 0))
                    {
                        var chosen = model[i % model.Count];
                        Assert.Equal(model.IndexOf(chosen), running.Remove(chosen));
                        model.Remove(chosen);
                    }
                    else
                    {
                        var sequence = NewSequence(inbox, i, priority);
                        sequence.Slot = running.NextSlot;
                        running.Add(sequence);
                        model = [.. model.Append(sequence).OrderByDescending(s => s.Request.Priority).ThenBy(s => s.Arrival)];
                    }

                    Assert.Equal(model, running.All.ToArray());
                    Assert.Equal(model.Count, model.Select(s => s.Slot).Distinct().Count());
                    Assert.Equal(8 - model.Count, running.FreeSlots);
                }
            },
            iter: 1_000);

    [Fact]
    public void Of_requests_that_race_for_the_last_place_exactly_one_gets_it()
    {
        for (var round = 0; round < 200; round++)
        {
            var budget = new QueueBudget(1, 1_000);
            var reserved = 0;
            Parallel.For(0, 4, _ =>
            {
                if (budget.Reserve(1, 10, ServiceTier.Default) == QueueBudget.Outcome.Reserved)
                {
                    Interlocked.Increment(ref reserved);
                }
            });
            Assert.Equal(1, reserved);
            Assert.Equal((1, 10), (budget.Requests, budget.Tokens));
        }
    }

    [Fact]
    public void A_prompt_above_the_token_limit_waits_alone()
    {
        var budget = new QueueBudget(10, 100);
        Assert.Equal(QueueBudget.Outcome.Reserved, budget.Reserve(1, 500, ServiceTier.Default));
        Assert.Equal(QueueBudget.Outcome.TooManyTokens, budget.Reserve(1, 1, ServiceTier.Default));
        budget.Release(500);
        Assert.Equal(QueueBudget.Outcome.Reserved, budget.Reserve(1, 100, ServiceTier.Default));
        Assert.Equal(QueueBudget.Outcome.TooManyTokens, budget.Reserve(1, 1, ServiceTier.Default));
    }

    private static Sequence NewSequence(Inbox inbox, int arrival, int priority) =>
        new(EngineScenario.Request($"r{arrival}", [1], 1) with { Priority = priority }, 8, inbox, new QueueBudget(100, 100)) { Arrival = arrival };
}
