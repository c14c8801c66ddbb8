using CsCheck;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Engine.Tests.Running;

/// <summary>Random arrivals, lengths, priorities, cancellations and sizes over the whole engine, all invariants after every step.</summary>
public sealed class RandomScheduleTests
{
    private static readonly Gen<Action> GenAction = Gen.Select(
        Gen.Int[0, 9], Gen.Int[1, 40], Gen.Int[1, 30], Gen.Int[0, 3], Gen.Int[0, 2], (kind, length, max, family, priority) =>
            new Action(kind, length, max, family, priority));

    private static readonly Gen<Setting> GenSetting = Gen.Select(
        Gen.Int[13, 30], Gen.Int[1, 6], Gen.Int[1, 24], Gen.Int[1, 3], Gen.Bool, Gen.Int[0, 5], Gen.Int[0, 3], (blocks, slots, batch, depth, caching, chunk, postponed) =>
            new Setting(blocks, slots, batch, depth, caching, Math.Min(chunk, batch), postponed));

    [Fact]
    public void Every_request_ends_once_with_the_tokens_of_a_run_alone_whatever_runs_beside_it() =>
        Gen.Select(GenSetting, GenAction.Array[1, 60]).Sample(
            (setting, actions) => Play(setting, actions), iter: 3_000, print: t => t.ToString());

    [Fact]
    public void Equal_arrivals_give_equal_plans() =>
        Gen.Select(GenSetting, GenAction.Array[1, 40]).Sample(
            (setting, actions) => Assert.Equal(Play(setting, actions), Play(setting, actions)), iter: 300);

    private static ulong Play(Setting setting, Action[] actions)
    {
        var geometry = new ExecutorGeometry(50, 48, 4, setting.Blocks, setting.Slots, setting.Batch, 3);
        var options = new EngineOptions
        {
            PrefixHashKey = 7,
            EnablePrefixCaching = setting.Caching,
            ChunkTokens = setting.Chunk,
            MixedPrefillTokens = setting.Chunk % 4,
            MaxPreemptions = 2,
        };
        using var scenario = new EngineScenario(geometry, options, setting.Depth);
        ulong plans = 0;
        scenario.Executor.Submitting = plan =>
            plans = (plans * 31) ^ FakeExecutor.HashOf(plan.Slots.AsSpan(0, plan.SequenceCount))
                ^ FakeExecutor.HashOf(plan.TokenIds.AsSpan(0, plan.TokenCount));
        // Some tokens come a step or more late, as if what decides on them were not ready.
        scenario.Executor.Postponing = (plan, row) =>
            FakeExecutor.HashOf([(int)plan.StepId, plan.Slots[row]]) % 4 < (ulong)setting.Postponed;
        foreach (var action in actions)
        {
            Perform(scenario, action);
        }

        scenario.RunToEnd();
        foreach (var conversation in scenario.Conversations)
        {
            Assert.Equal(1, conversation.Endings);
            var expected = EngineScenario.Expected(conversation.Request, geometry);
            if (conversation.Finish is FinishReason.Length or FinishReason.ContextFull or FinishReason.Stop)
            {
                Assert.Equal(expected, conversation.Output);
                if (conversation.Request.Sampling.PromptLogprobs is not null)
                {
                    EngineScenario.AssertScored(conversation, geometry);
                }
            }
            else
            {
                Assert.Equal(expected.Take(conversation.Output.Count), conversation.Output);
                Assert.True(conversation.Finish is FinishReason.Cancelled or FinishReason.Deadline);
            }
        }

        Assert.Empty(scenario.Healed);
        Assert.Null(scenario.Engine.Status.Failure);
        Assert.Equal(0, scenario.Engine.Status.BlocksInUse);
        return plans;
    }

    private static void Perform(EngineScenario scenario, Action action)
    {
        switch (action.Kind)
        {
            case 0 or 1 or 2:
                scenario.Admit(EngineScenario.Request(
                    $"r{scenario.Conversations.Count}", EngineScenario.Prompt(action.Length, action.Family), action.MaxTokens % 30) with
                {
                    Sampling = SamplingOptions.Greedy with { PromptLogprobs = action.Length % 3 == 1 ? action.MaxTokens % 4 : null },
                    Priority = action.Priority,
                    Tier = (ServiceTier)((action.Length % 3) - 1),
                    Tenant = action.Family == 0 ? "" : $"tenant {action.Family}",
                    TenantWeight = action.Family + 1,
                    CacheSalt = (ulong)(action.Family % 2),
                    StopTokenIds = action.Family == 3 ? [1, 2, 3] : [],
                    BypassPrefixCache = action.Family == 2 && action.Priority == 1,
                    Deadline = action.Priority == 2 ? scenario.Time.GetUtcNow().AddSeconds(action.MaxTokens) : null,
                });
                break;
            case 3 when scenario.Conversations.Count > 0:
                scenario.Conversations[action.Length % scenario.Conversations.Count].Stream.Cancel(FinishReason.Cancelled);
                break;
            default:
                scenario.Time.Advance(TimeSpan.FromSeconds(1));
                scenario.Step();
                break;
        }
    }

    private sealed record Setting(int Blocks, int Slots, int Batch, int Depth, bool Caching, int Chunk, int Postponed);

    private sealed record Action(int Kind, int Length, int MaxTokens, int Family, int Priority);
}
