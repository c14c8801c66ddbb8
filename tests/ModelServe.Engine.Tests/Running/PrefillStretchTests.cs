using CsCheck;
using ModelServe.Engine.Running;
using ModelServe.Engine.Tests.Planning;

namespace ModelServe.Engine.Tests.Running;

/// <summary>Portions of prompts by what steps take: how much they stretch the steps of others, and that prompts get on.</summary>
public sealed class PrefillStretchTests
{
    private static readonly EngineOptions Options = new()
    {
        PrefixHashKey = 7,
        MixedPrefillTokens = 32,
        PrefillStretch = 1.75,
        BriefStep = TimeSpan.Zero,
        PrefillPatience = TimeSpan.FromHours(1),
    };

    private static readonly Device Known = new(6, 8, 0);

    [Fact]
    public void A_step_with_prompt_tokens_keeps_to_the_stretch_or_feeds_the_least_portion() =>
        Gen.Select(Device.Gen, Gen.Int[1, 12], Gen.Int[1, 2]).Sample((device, streams, depth) =>
        {
            using var timed = new TimedScenario(device, Options, depth);
            timed.Acquaint(streams);
            timed.Admit("long", 600, 4);
            timed.Run(60);
            Assert.Contains(timed.Steps, step => step.Prompt > 0);
            // Where steps without a prompt are the usual ones 0.4 of the stretch; two rows come on top to make a multiple of four, and a little error of the estimate.
            Assert.All(timed.Steps.Where(step => step.Prompt > 8), step => Assert.True(
                device.Milliseconds(Shape(step.Generating, step.Prompt - 2)) < (1 + (0.75 * 0.4)) * 1.2 * device.Milliseconds(Shape(step.Generating, 0)), $"{step}"));
        }, iter: 30);

    [Fact]
    public void What_the_stretch_leaves_room_for_is_used() =>
        Gen.Select(Device.Gen, Gen.Int[1, 12]).Sample((device, streams) =>
        {
            using var timed = new TimedScenario(device, Options);
            timed.Acquaint(streams);
            timed.Admit("long", 1500, 4);
            timed.Run(60);
            var portion = timed.Steps.Where(step => step.Prompt > 0).Skip(10).Take(20).Average(step => step.Prompt);
            var most = Enumerable.Range(0, 500).Last(tokens => device.Milliseconds(Shape(streams, tokens)) <= 1.3 * device.Milliseconds(Shape(streams, 0)));
            // A multiple of four rows, and a little for what the estimate and its steadiness cost.
            Assert.True(portion >= Math.Min(8, most) && portion >= (0.8 * (most + streams)) - 10 - streams, $"{portion} of {most}");
        }, iter: 30);

    [Fact]
    public void Portions_of_one_prompt_are_equal_while_nothing_else_changes()
    {
        using var timed = new TimedScenario(Known, Options);
        timed.Acquaint(8);
        timed.Admit("long", 512, 4);
        timed.Run(80);
        int[] fed = [.. timed.Steps.Where(step => step.Prompt > 0).Select(step => step.Prompt)];
        Assert.Equal(512, fed.Sum());
        Assert.True(fed[..^1].Distinct().Count() == 1, string.Join(" ", fed));
    }

    [Fact]
    public void Portions_grow_where_hardly_a_step_is_without_one_and_not_by_themselves()
    {
        using var timed = new TimedScenario(new Device(6, 24, 0), Options);
        timed.Acquaint(8);
        timed.Run(200);
        for (var i = 0; i < 12; i++)
        {
            timed.Admit($"prompt {i}", 1900, 1);
        }

        timed.Run(600);
        int[] fed = [.. timed.Steps.Where(step => step.Prompt > 0).Select(step => step.Prompt)];
        Assert.All(fed[..40], tokens => Assert.InRange(tokens, 18, 26));
        Assert.InRange(fed[^1], 38, 46);
        Assert.All(timed.Steps, step => Assert.True(step.Stretch < 1 + (0.75 * 1.5), $"{step}"));
    }

    [Fact]
    public void Now_and_then_a_step_goes_without_a_prompt_so_that_it_stays_known_what_one_takes()
    {
        using var timed = new TimedScenario(new Device(6, 24, 0), Options);
        timed.Acquaint(8);
        for (var i = 0; i < 12; i++)
        {
            timed.Admit($"prompt {i}", 1900, 1);
        }

        timed.Run(400);
        Assert.Equal(3, timed.Steps.Count(step => step.Prompt == 0));
    }

    [Fact]
    public void Steps_that_score_prompts_teach_nothing_about_others()
    {
        using var timed = new TimedScenario(new Device(6, 24, 0), Options) { ScoringSlowness = 6 };
        timed.Acquaint(8);
        timed.Admit("long", 256, 4);
        timed.Run(60);
        var (portion, count) = (timed.Steps.Max(step => step.Prompt), timed.Steps.Count);
        timed.Admit("scored", 512, 4, promptLogprobs: 0);
        timed.Run(80);
        int[] fed = [.. timed.Steps.Skip(count).Where(step => step.Prompt > 0).Select(step => step.Prompt)];
        Assert.Equal(512, fed.Sum());
        Assert.True(fed[..^1].All(tokens => tokens == portion), $"{portion}: {string.Join(" ", fed)}");
        Assert.True(portion > 8);
    }

    [Fact]
    public void Portions_do_not_swing_on_a_device_whose_steps_tremble()
    {
        using var timed = new TimedScenario(Known, Options);
        var random = new Random(3);
        timed.Acquaint(8);
        timed.Admit("long", 1900, 4);
        for (var i = 0; i < 100; i++)
        {
            timed.Slowness = 0.9 + (0.2 * random.NextDouble());
            timed.Run(1);
        }

        int[] fed = [.. timed.Steps.Where(step => step.Prompt > 0).Select(step => step.Prompt)];
        var changes = fed.Zip(fed.Skip(1)).Count(pair => pair.First != pair.Second);
        Assert.True(changes <= fed.Length / 10, string.Join(" ", fed));
    }

    [Fact]
    public void A_device_that_slows_down_as_a_whole_keeps_its_portions_and_one_whose_rows_do_gets_smaller_ones()
    {
        using var timed = new TimedScenario(Known, Options);
        timed.Acquaint(8);
        timed.Slowness = 2;
        timed.Admit("first", 1900, 4);
        timed.Run(100);
        Assert.All(timed.Steps.Where(step => step.Prompt > 8).Skip(60), step => Assert.True(step.Stretch < 1.85 * 1.2, $"{step}"));
    }

    [Fact]
    public void Every_prompt_gets_on_however_slow_rows_are()
    {
        using var timed = new TimedScenario(new Device(100, 1, 0), Options with { PrefillStretch = 1.05 });
        timed.Acquaint(8);
        var prompt = timed.Admit("long", 400, 4);
        timed.Run(70);
        Assert.NotEmpty(prompt.Output);
        Assert.All(timed.Steps.Where(step => step.Prompt > 0), step => Assert.InRange(step.Prompt, 1, 15));
    }

    [Fact]
    public void A_prompt_that_has_been_at_it_for_long_gets_larger_portions()
    {
        using var timed = new TimedScenario(new Device(100, 8, 0), Options with { PrefillPatience = TimeSpan.FromSeconds(2) });
        timed.Acquaint(8);
        timed.Admit("long", 1900, 4);
        timed.Run(60);
        int[] fed = [.. timed.Steps.Where(step => step.Prompt > 0).Select(step => step.Prompt)];
        Assert.True(fed[45] >= 2 * fed[0], string.Join(" ", fed));
        Assert.True(timed.Steps.Max(step => step.Stretch) < (1 + (4 * 1.125 * 0.75)) * 1.15);
    }

    [Fact]
    public void A_step_that_is_brief_is_filled_whatever_its_stretch()
    {
        using var timed = new TimedScenario(new Device(0.5, 8, 0), Options with { BriefStep = TimeSpan.FromMilliseconds(10) });
        timed.Acquaint(8);
        timed.Admit("long", 1000, 4);
        timed.Run(40);
        Assert.Contains(timed.Steps, step => step.Prompt > 100);
        Assert.All(timed.Steps, step => Assert.True(step.Milliseconds < 11.5, $"{step}"));
    }

    [Fact]
    public void A_crowd_that_arrives_at_once_stretches_others_by_half_as_much_again_at_most()
    {
        using var timed = new TimedScenario(Known, Options);
        timed.Acquaint(1);
        for (var i = 0; i < 6; i++)
        {
            timed.Admit($"crowd {i}", 400, 1);
        }

        timed.Run(60);
        Assert.All(timed.Steps, step => Assert.True(step.Stretch < (1 + (1.5 * 0.75)) * 1.25, $"{step}"));
    }

    [Fact]
    public void With_nobody_generating_a_step_ends_with_the_prompt_that_it_completes()
    {
        using var timed = new TimedScenario(Known, Options);
        timed.Acquaint(1);
        timed.Scenario.Conversations[0].Stream.Cancel(ModelServe.Engine.Admission.FinishReason.Cancelled);
        timed.Run(2);
        timed.Admit("first", 128, 20);
        timed.Admit("second", 128, 20);
        timed.Run(2);
        var steps = timed.Steps.Where(step => step.Prompt > 0).ToArray();
        Assert.Equal((0, 128), (steps[0].Generating, steps[0].Prompt));
        Assert.Equal(1, steps[1].Generating);
    }

    [Fact]
    public void Short_prompts_with_nobody_generating_share_a_brief_step()
    {
        using var timed = new TimedScenario(Known, Options with { BriefStep = TimeSpan.FromMilliseconds(30) });
        timed.Acquaint(1);
        timed.Scenario.Conversations[0].Stream.Cancel(ModelServe.Engine.Admission.FinishReason.Cancelled);
        timed.Run(2);
        for (var i = 0; i < 4; i++)
        {
            timed.Admit($"short {i}", 9, 20);
        }

        timed.Run(1);
        Assert.Equal(36, timed.Steps[^1].Prompt);
    }

    [Fact]
    public void Equal_arrivals_give_equal_steps_and_every_answer_is_its_own() =>
        Gen.Select(Device.Gen, Gen.Select(Gen.Int[2, 300], Gen.Int[1, 30], Gen.Int[0, 9]).Array[1, 20], Gen.Int[1, 2]).Sample((device, requests, depth) =>
        {
            var first = Play(device, requests, depth);
            Assert.Equal(first, Play(device, requests, depth));
        }, iter: 20);

    private static TimedScenario.Step[] Play(Device device, (int Prompt, int Max, int Pause)[] requests, int depth)
    {
        using var timed = new TimedScenario(device, Options with { PrefillPatience = TimeSpan.FromSeconds(2), BriefStep = TimeSpan.FromMilliseconds(10) }, depth);
        foreach (var (prompt, max, pause) in requests)
        {
            timed.Admit($"request {timed.Scenario.Conversations.Count}", prompt, max);
            timed.Run(pause);
        }

        timed.Scenario.RunToEnd();
        Assert.All(timed.Scenario.Conversations, c => Assert.Equal(EngineScenario.Expected(c.Request, timed.Scenario.Engine.Geometry), c.Output));
        return [.. timed.Steps];
    }

    private static ModelServe.Engine.Planning.StepShape Shape(int streams, int tokens) =>
        ModelServe.Engine.Planning.StepShape.Generating(streams, streams * 300).With(tokens, 300);
}
