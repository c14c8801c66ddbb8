using CsCheck;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Tests.Planning;

/// <summary>What steps take, learnt from steps.</summary>
public sealed class StepTimesTests
{
    [Fact]
    public void Nothing_is_known_before_some_steps_of_both_kinds()
    {
        var times = new StepTimes();
        for (var i = 0; i < 5; i++)
        {
            Assert.False(times.IsKnown);
            times.Observe(Plain(8), 7);
        }

        for (var i = 0; i < 3; i++)
        {
            Assert.False(times.IsKnown);
            times.Observe(Plain(8).With(16, 0), 12);
        }

        Assert.True(times.IsKnown);
    }

    [Fact]
    public void A_clock_that_stands_still_teaches_nothing()
    {
        var times = new StepTimes();
        times.Observe(Plain(8), 0);
        Assert.Equal(0, times.Milliseconds(Plain(8)));
    }

    [Fact]
    public void Steps_like_those_seen_are_foretold_whatever_the_device() =>
        Device.Gen.Sample(device =>
        {
            var times = new StepTimes();
            StepShape[] seen = [Plain(4), Plain(8), Plain(8).With(8, 64), Plain(8).With(24, 64), Plain(2).With(40, 64)];
            for (var i = 0; i < 300; i++)
            {
                var shape = seen[i % seen.Length];
                times.Observe(shape, device.Milliseconds(shape));
            }

            return seen.All(shape => Math.Abs((times.Milliseconds(shape) / device.Milliseconds(shape)) - 1) < 0.15);
        }, iter: 300);

    [Fact]
    public void A_larger_step_is_never_foretold_to_be_shorter() =>
        Gen.Select(Gen.Int[1, 64], Gen.Int[0, 200], Gen.Double[0.1, 500]).Array[1, 100].Sample(steps =>
        {
            var times = new StepTimes();
            foreach (var (streams, prompt, milliseconds) in steps)
            {
                times.Observe(prompt < 2 ? Plain(streams) : Plain(streams).With(prompt, 10), milliseconds);
            }

            return Enumerable.Range(0, 100).All(tokens =>
                times.Milliseconds(Plain(8).With(tokens, 10)) <= times.Milliseconds(Plain(8).With(tokens + 1, 10)) + 1e-9
                && double.IsFinite(times.Milliseconds(Plain(8).With(tokens, 10))));
        }, iter: 1_000);

    [Fact]
    public void One_step_that_something_else_held_up_is_hardly_believed()
    {
        var times = new StepTimes();
        for (var i = 0; i < 100; i++)
        {
            times.Observe(i % 3 == 0 ? Plain(8).With(16, 0) : Plain(8), i % 3 == 0 ? 12 : 7);
        }

        times.Observe(Plain(8), 500);
        Assert.InRange(times.Milliseconds(Plain(8)), 6.9, 9);
    }

    [Fact]
    public void A_device_that_has_become_slower_is_noticed_within_a_hundred_steps()
    {
        var times = new StepTimes();
        for (var i = 0; i < 1000; i++)
        {
            times.Observe(i % 3 == 0 ? Plain(8).With(16, 0) : Plain(8), i % 3 == 0 ? 12 : 7);
        }

        for (var i = 0; i < 100; i++)
        {
            times.Observe(Plain(8), 14);
        }

        Assert.InRange(times.Milliseconds(Plain(8)), 12.5, 14.1);
    }

    [Fact]
    public void Steps_with_prompt_tokens_say_nothing_about_those_without_unless_they_took_less() =>
        Gen.Double[7, 100].Array[1, 200].Sample(took =>
        {
            var times = new StepTimes();
            for (var i = 0; i < 50; i++)
            {
                times.Observe(Plain(8), 7);
            }

            foreach (var milliseconds in took)
            {
                times.Observe(Plain(8).With(16, 0), milliseconds);
            }

            return Math.Abs(times.Milliseconds(Plain(8)) - 7) < 1e-3 && times.Milliseconds(Plain(8).With(16, 0)) >= 7;
        });

    [Fact]
    public void A_step_that_took_less_with_prompt_tokens_than_was_thought_without_is_believed_at_once()
    {
        var times = new StepTimes();
        for (var i = 0; i < 50; i++)
        {
            times.Observe(i % 5 == 0 ? Plain(8).With(16, 0) : Plain(8), i % 5 == 0 ? 50 : 40);
        }

        for (var i = 0; i < 3; i++)
        {
            times.Observe(Plain(8).With(16, 0), 12);
        }

        Assert.InRange(times.Milliseconds(Plain(8)), 7, 16);
    }

    [Fact]
    public void More_prompt_tokens_than_were_seen_are_never_thought_to_be_free()
    {
        var times = new StepTimes();
        for (var i = 0; i < 200; i++)
        {
            times.Observe(i % 3 == 0 ? Plain(8).With(12, 0) : Plain(8), i % 3 == 0 ? 11 : 7);
        }

        Assert.InRange(times.Milliseconds(Plain(8).With(76, 0)), 25, 35);
    }

    private static StepShape Plain(int streams) => StepShape.Generating(streams, streams * 200);
}
