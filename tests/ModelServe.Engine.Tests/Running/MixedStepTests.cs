using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>How much of a prompt a step feeds beside sequences that generate.</summary>
public sealed class MixedStepTests
{
    private static readonly EngineOptions Options = new() { PrefixHashKey = 7, MixedPrefillTokens = 3 };

    [Fact]
    public void A_prompt_feeds_whole_while_nobody_generates()
    {
        using var scenario = new EngineScenario(options: Options);
        scenario.Admit(EngineScenario.Request("alone", EngineScenario.Prompt(14)));
        scenario.Step();
        Assert.Equal(14, scenario.Engine.Planner.Running[0].Planned);
    }

    [Fact]
    public void Beside_one_that_generates_all_prompts_share_a_small_budget()
    {
        using var scenario = new EngineScenario(options: Options);
        var answered = scenario.Admit(EngineScenario.Request("answered", EngineScenario.Prompt(4), 20));
        scenario.Step();
        scenario.Admit(EngineScenario.Request("second", EngineScenario.Prompt(5, seed: 2)));
        scenario.Admit(EngineScenario.Request("third", EngineScenario.Prompt(10, seed: 3)));
        int[][] fed = [.. Enumerable.Range(0, 5).Select(_ =>
        {
            scenario.Step();
            return scenario.Engine.Planner.Running.All.ToArray().Select(sequence => sequence.Planned).ToArray();
        })];
        Assert.Equal([[1, 3], [1, 2, 1], [1, 1, 3], [1, 1, 3], [1, 1, 3]], fed);
        scenario.RunToEnd();
        Assert.Equal(EngineScenario.Expected(answered.Request, EngineScenario.Small), answered.Output);
        Assert.All(scenario.Conversations, c => Assert.Equal(EngineScenario.Expected(c.Request, EngineScenario.Small), c.Output));
    }

    [Fact]
    public void The_budget_leaves_a_token_for_everybody_who_generates()
    {
        var geometry = EngineScenario.Small with { MaxBatchedTokens = 4 };
        using var scenario = new EngineScenario(geometry, Options);
        for (var i = 0; i < 3; i++)
        {
            scenario.Admit(EngineScenario.Request($"answered {i}", [i + 1], 30));
        }

        scenario.Step();
        scenario.Admit(EngineScenario.Request("prompt", EngineScenario.Prompt(9)));
        scenario.Step();
        Assert.Equal([1, 1, 1, 1], scenario.Engine.Planner.Running.All.ToArray().Select(sequence => sequence.Planned));
    }
}
