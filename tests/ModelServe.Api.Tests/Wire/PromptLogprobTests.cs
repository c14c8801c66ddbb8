using ModelServe.Engine.Simulation;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Log probabilities of prompts in modelserve.v1.</summary>
public sealed class PromptLogprobTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Theory]
    [InlineData(0, 8)]
    [InlineData(3, 8)]
    [InlineData(2, 0)]
    public async Task They_come_in_the_first_tokens_and_in_no_other(int top, int maxTokens)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        GenerateRequest request = Prompt(maxTokens, options => options.Sampling.PromptLogprobs = top);
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(request, cancellationToken: Token));
        Assert.Equal(top, events[0].Accepted.Effective.Sampling.PromptLogprobs);
        Tokens[] tokens = [.. events.Where(one => one.EventCase == GenerationEvent.EventOneofCase.Tokens).Select(one => one.Tokens)];
        AssertScored(request, top, tokens[0].PromptLogprobs);
        Assert.All(tokens.Skip(1), one => Assert.Null(one.PromptLogprobs));
        Assert.Equal(maxTokens == 0 ? "" : "abc", TextOf(events));
        Assert.Equal(maxTokens == 0 ? FinishReason.Length : FinishReason.Stop, events[^1].Finished.Reason);
        Assert.Equal(maxTokens == 0 ? 0 : 4, events[^1].Finished.Usage.CompletionTokens);
    }

    [Fact]
    public async Task A_result_has_them_and_one_that_was_not_asked_has_none()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        GenerateRequest request = Prompt(8, options => options.Sampling.PromptLogprobs = 1);
        AssertScored(request, 1, (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Output.PromptLogprobs);
        Assert.Null((await server.Client.GenerateOnceAsync(Prompt(8), cancellationToken: Token)).Output.PromptLogprobs);
    }

    [Fact]
    public async Task They_survive_steps_without_memory()
    {
        using var fake = new FakeModel(options: new Engine.Running.EngineOptions { ChunkTokens = 2 }) { ExhaustedSteps = step => step is 2 or 3 };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("abc");
        GenerateRequest request = Prompt(8, options => options.Sampling.PromptLogprobs = 2);
        AssertScored(request, 2, (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Output.PromptLogprobs);
        Assert.Equal(2, server.Status.ExhaustedSteps);
    }

    private static void AssertScored(GenerateRequest request, int top, PromptLogprobs told)
    {
        int[] prompt = [.. request.TokenIds.Ids.Select(id => (int)id)];
        Assert.Equal(request.TokenIds.Ids, told.TokenIds);
        Assert.Equal(top, told.TopCount);
        Assert.Equal(Enumerable.Range(1, prompt.Length - 1).Select(i => FakeScores.LogprobOf(prompt.AsSpan(0, i), prompt[i])), told.TokenLogprobs);
        Assert.Equal(prompt.Skip(1).Select(id => 1 + id), told.TokenRanks);
        Assert.Equal(top * (prompt.Length - 1), told.TopTokenIds.Count);
        Assert.Equal(told.TopTokenIds.Count, told.TopLogprobs.Count);
    }
}
