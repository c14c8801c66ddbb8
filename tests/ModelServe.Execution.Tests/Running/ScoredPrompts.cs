using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Prompts whose tokens' log probabilities are asked of an engine, and what they must be.</summary>
internal static class ScoredPrompts
{
    public const int Top = 4;

    /// <summary>Admits all at once, steps by hand to the end, and returns what each was told of its prompt.</summary>
    public static async Task<PromptLogprobs[]> RunAsync(EngineLoop engine, IReadOnlyList<int[]> prompts, int maxTokens)
    {
        var streams = prompts.Select((prompt, i) =>
        {
            var admission = engine.Admit(new GenerationRequest
            {
                RequestId = $"scored {i}",
                PromptTokenIds = prompt,
                MaxTokens = maxTokens,
                Sampling = SamplingOptions.Greedy with { PromptLogprobs = Top },
            });
            Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
            return stream;
        }).ToArray();
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }

        var told = new PromptLogprobs?[streams.Length];
        for (var i = 0; i < streams.Length; i++)
        {
            using var stream = streams[i];
            var delta = new TokenDelta();
            while (await stream.ReadAsync(delta, TestContext.Current.CancellationToken))
            {
                Assert.Null(delta.Error);
                told[i] ??= delta.PromptLogprobs;
            }
        }

        return [.. told.Select(scores => scores ?? throw new InvalidOperationException("a prompt was not scored"))];
    }

    /// <summary>[entry] the log-softmax behind each of the prompt's prefixes, in double precision, each computed from nothing.</summary>
    public static double[][] Reference(RandomCheckpoint checkpoint, int[] prompt)
    {
        var reference = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights);
        return [.. Enumerable.Range(1, prompt.Length - 1).Select(length =>
        {
            var logits = reference.Logits(prompt[..length]);
            var max = logits.Max();
            var normaliser = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
            return logits.Select(logit => logit - normaliser).ToArray();
        })];
    }

    /// <summary>Compares; ranks may differ by tokens that are as likely within the tolerance.</summary>
    public static void AssertClose(double[][] expected, int[] prompt, PromptLogprobs told, double tolerance)
    {
        Assert.Equal(prompt.Length - 1, told.Count);
        Assert.Equal(Top, told.TopCount);
        for (var entry = 0; entry < told.Count; entry++)
        {
            var own = expected[entry][prompt[entry + 1]];
            Assert.Equal(own, told.Logprobs[entry], tolerance);
            Assert.InRange(
                told.Ranks[entry],
                1 + expected[entry].Count(logprob => logprob > own + (2 * tolerance)),
                expected[entry].Count(logprob => logprob >= own - (2 * tolerance)));
            var ranked = expected[entry].OrderDescending().ToArray();
            for (var rank = 0; rank < Top; rank++)
            {
                Assert.Equal(ranked[rank], told.TopLogprobs(entry)[rank], tolerance);
                Assert.Equal(expected[entry][told.TopTokenIds(entry)[rank]], told.TopLogprobs(entry)[rank], tolerance);
            }

            if (told.Ranks[entry] <= Top)
            {
                Assert.Equal(prompt[entry + 1], told.TopTokenIds(entry)[told.Ranks[entry] - 1]);
                Assert.Equal(told.Logprobs[entry], told.TopLogprobs(entry)[told.Ranks[entry] - 1]);
            }
        }
    }

    /// <summary>That two runs said the same, to the bit.</summary>
    public static void AssertSame(PromptLogprobs expected, PromptLogprobs actual)
    {
        Assert.Equal(expected.Logprobs, actual.Logprobs);
        Assert.Equal(expected.Ranks, actual.Ranks);
        for (var entry = 0; entry < expected.Count; entry++)
        {
            Assert.Equal(expected.TopTokenIds(entry), actual.TopTokenIds(entry));
            Assert.Equal(expected.TopLogprobs(entry), actual.TopLogprobs(entry));
        }
    }
}
