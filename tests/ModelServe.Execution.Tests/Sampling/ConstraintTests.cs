using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Sampling;
using Xunit;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>A constraint decides which tokens may come, whatever else changes the logits.</summary>
public sealed class ConstraintTests
{
    private const int Vocabulary = 70;

    [Theory]
    [InlineData(0f, 0, 1f)]
    [InlineData(1f, 0, 1f)]
    [InlineData(1f, 5, 1f)]
    [InlineData(3f, 0, 0.3f)]
    public void Only_allowed_tokens_come(float temperature, int topK, float topP)
    {
        var constraint = new Multiples(7);
        var logits = SamplerBench.Logits(Vocabulary);
        for (ulong seed = 0; seed < 200; seed++)
        {
            var slot = Assigned(new SamplingOptions { Temperature = temperature, TopK = topK, TopP = topP, Seed = seed, Constraint = constraint }, []);
            Assert.Equal(0, Sample(logits, slot) % 7);
        }
    }

    [Fact]
    public void A_bias_does_not_allow_what_the_constraint_forbids()
    {
        var slot = Assigned(new SamplingOptions { LogitBias = [new LogitBias(3, 100)], Constraint = new Multiples(7) }, []);
        Assert.NotEqual(3, Sample(SamplerBench.Logits(Vocabulary), slot));
    }

    [Fact]
    public void A_follower_hears_every_token_and_after_preemption_the_output_again()
    {
        var constraint = new Multiples(2);
        var slot = Assigned(new SamplingOptions { Constraint = constraint }, []);
        var first = Sample(SamplerBench.Logits(Vocabulary), slot);
        var second = Sample(SamplerBench.Logits(Vocabulary), slot);
        Assert.Equal([first, second], constraint.Heard[0]);
        Assigned(new SamplingOptions { Constraint = constraint }, [first, second]);
        Assert.Equal([first, second], constraint.Heard[1]);
    }

    [Fact]
    public void Where_nothing_is_allowed_the_sequence_fails() =>
        Assert.Equal(StepResult.Failed, Sample(SamplerBench.Logits(Vocabulary), Assigned(new SamplingOptions { Constraint = new Multiples(0) }, [])));

    private static SlotSampling Assigned(SamplingOptions options, int[] output)
    {
        var slot = new SlotSampling();
        slot.Assign(new SlotAssignment(0, options, (int[])[1, 2, 3, .. output], 3), 100);
        return slot;
    }

    private static int Sample(float[] logits, SlotSampling slot)
    {
        var result = new StepResult(new ExecutorGeometry(Vocabulary, 64, 16, 8, 1, 64));
        new TokenSampler(Vocabulary).Sample(logits, slot, 3, result, 0);
        return result.TokenIds[0];
    }

    private sealed class Multiples(int divisor) : ITokenConstraint
    {
        public List<List<int>> Heard { get; } = [];

        public ITokenConstraintFollower Follow()
        {
            Heard.Add([]);
            return new Follower(divisor, Heard[^1]);
        }

        private sealed class Follower(int divisor, List<int> heard) : ITokenConstraintFollower
        {
            public string? Failure => divisor == 0 ? "no multiples of 0" : null;

            public bool FillMask(Span<uint> allowed)
            {
                allowed.Clear();
                for (var id = 0; id < Vocabulary && divisor > 0; id += divisor)
                {
                    allowed[id >> 5] |= 1u << (id & 31);
                }

                return divisor > 0;
            }

            public void Follow(ReadOnlySpan<int> tokenIds) => heard.AddRange(tokenIds);

            public bool TryFollow(int tokenId) => false;
        }
    }
}
