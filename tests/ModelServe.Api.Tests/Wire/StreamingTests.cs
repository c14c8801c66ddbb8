using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

public sealed class StreamingTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_stream_is_accepted_then_tokens_then_exactly_one_ending()
    {
        await using WireServer server = await StartAsync();
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(Prompt(12), cancellationToken: Token));

        Assert.Equal(GenerationEvent.EventOneofCase.Accepted, events[0].EventCase);
        Assert.All(events[1..^1], message => Assert.Equal(GenerationEvent.EventOneofCase.Tokens, message.EventCase));
        Assert.Equal(GenerationEvent.EventOneofCase.Finished, events[^1].EventCase);
        Assert.Equal(FinishReason.Length, events[^1].Finished.Reason);
        Assert.Equal(12, IdsOf(events).Length);
        Assert.Equal(12, events[^1].Finished.Usage.CompletionTokens);
        Assert.Equal(7, events[^1].Finished.Usage.PromptTokens);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task The_text_of_a_stream_is_the_text_of_its_tokens()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße, 世界 🙂!");
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(Prompt(64), cancellationToken: Token));

        Assert.Equal("Grüße, 世界 🙂!", TextOf(events));
        Assert.All(events, message => Assert.DoesNotContain('\ufffd', message.Tokens?.Text ?? string.Empty));
        Assert.Equal(FinishReason.Stop, events[^1].Finished.Reason);
        Assert.Equal((uint)SyntheticCheckpoint.TurnEnd, events[^1].Finished.StopTokenId);
        Assert.Equal((uint)SyntheticCheckpoint.TurnEnd, IdsOf(events)[^1]);
    }

    [Fact]
    public async Task Half_a_character_at_the_end_becomes_a_replacement_character()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ab🙂");
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(Prompt(4), cancellationToken: Token));
        Assert.StartsWith("ab", TextOf(events), StringComparison.Ordinal);
        Assert.Contains('\ufffd', TextOf(events));
    }

    [Fact]
    public async Task The_unary_form_gives_what_the_stream_gives()
    {
        await using WireServer server = await StartAsync();
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(Prompt(20), cancellationToken: Token));
        GenerationResult result = await server.Client.GenerateOnceAsync(Prompt(20), cancellationToken: Token);

        Assert.Equal(TextOf(events), result.Output.Text);
        Assert.Equal(IdsOf(events), result.Output.TokenIds);
        Assert.Equal(events[^1].Finished.Reason, result.Finished.Reason);
        Assert.Equal(7, result.Accepted.PromptTokens);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_chat_is_rendered_by_the_template_and_answered()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Hello there.");
        ChatRequest request = Conversation(("system", "be kind"), ("user", "hi"));
        string answer = string.Concat(await ToListAsync(server.Client.ChatTextAsync(request, cancellationToken: Token)));
        GenerationResult once = await server.Client.ChatOnceAsync(request, cancellationToken: Token);

        Assert.Equal("Hello there.", answer);
        Assert.Equal("Hello there.", once.Output.Text);
        Assert.Equal("stop", once.Finished.Reason.ToString(), ignoreCase: true);
    }

    [Fact]
    public async Task Many_streams_at_once_are_each_what_they_are_alone()
    {
        await using WireServer server = await StartAsync();
        string[] prompts = [.. Enumerable.Range(0, 40).Select(i => $"prompt number {i}")];
        var alone = new List<string>();
        foreach (string prompt in prompts)
        {
            alone.Add((await server.Client.GenerateOnceAsync(Prompt(30, text: prompt), cancellationToken: Token)).Output.Text);
        }

        string[] together = await Task.WhenAll(prompts.Select(async prompt =>
            TextOf(await ReadAsync(server.Client.GenerateAsync(Prompt(30, text: prompt), cancellationToken: Token)))));

        Assert.Equal(alone, together);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Every_option_is_echoed_with_the_value_that_applies()
    {
        await using WireServer server = await StartAsync();
        var request = new GenerateRequest { Text = "hello", Options = new GenerationOptions { Stop = new StopConditions { MaxTokens = 1 } } };
        GenerationOptions effective = (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Accepted.Effective;

        Assert.Equal(0.5f, effective.Sampling.Temperature);
        Assert.Equal(0.75f, effective.Sampling.TopP);
        Assert.Equal(40, effective.Sampling.TopK);
        Assert.Equal(1f, effective.Sampling.RepetitionPenalty);
        Assert.True(effective.Sampling.HasSeed);
        Assert.False(effective.Sampling.Logprobs);
        Assert.Equal(1, effective.Stop.MaxTokens);
        Assert.True(effective.SkipSpecialTokens);
        Assert.NotEmpty(effective.RequestId);
    }

    [Fact]
    public async Task Without_a_token_limit_the_context_window_is_the_limit()
    {
        await using WireServer server = await StartAsync(null, new FakeModel(context: 64));
        GenerateRequest request = Prompt();
        request.Options.Stop.ClearMaxTokens();
        GenerationResult result = await server.Client.GenerateOnceAsync(request, cancellationToken: Token);
        Assert.Equal(64 - 7, result.Accepted.Effective.Stop.MaxTokens);
        Assert.Equal(64 - 7, result.Output.TokenIds.Count);
    }

    [Fact]
    public async Task Logprobs_are_parallel_to_the_tokens()
    {
        await using WireServer server = await StartAsync();
        GenerationResult result = await server.Client.GenerateOnceAsync(
            Prompt(9, options => options.Sampling.TopLogprobs = 3), cancellationToken: Token);
        Logprobs logprobs = result.Output.Logprobs;

        Assert.Equal(9, logprobs.TokenLogprobs.Count);
        Assert.Equal(Enumerable.Repeat(3, 9), logprobs.TopCounts);
        Assert.Equal(27, logprobs.TopTokenIds.Count);
        Assert.Equal(27, logprobs.TopLogprobs.Count);
        Assert.Equal(result.Output.TokenIds[4], logprobs.TopTokenIds[12]);
    }

    [Fact]
    public async Task Logprobs_without_alternatives_name_the_token_alone()
    {
        await using WireServer server = await StartAsync();
        GenerationResult result = await server.Client.GenerateOnceAsync(
            Prompt(3, options => options.Sampling.Logprobs = true), cancellationToken: Token);
        Assert.Equal(3, result.Output.Logprobs.TokenLogprobs.Count);
        Assert.Equal([0, 0, 0], result.Output.Logprobs.TopCounts);
        Assert.Empty(result.Output.Logprobs.TopTokenIds);
    }

    [Fact]
    public async Task A_model_wider_than_its_vocabulary_writes_ids_without_text()
    {
        using var wide = new FakeModel(logitWidth: SyntheticCheckpoint.VocabularySize + 60);
        await using WireServer server = await StartAsync(null, wide);
        server.Fake.ForcedToken = SyntheticCheckpoint.VocabularySize + 59;
        GenerationResult result = await server.Client.GenerateOnceAsync(Prompt(3), cancellationToken: Token);
        Assert.Equal(3, result.Output.TokenIds.Count);
        Assert.Equal(string.Empty, result.Output.Text);
    }

    [Fact]
    public async Task Tokenize_and_detokenize_are_inverse()
    {
        await using WireServer server = await StartAsync();
        TokenizeResponse tokens = await server.Client.TokenizeAsync(new TokenizeRequest { Text = "naïve <|im_end|>" }, Token);
        Assert.DoesNotContain((uint)SyntheticCheckpoint.TurnEnd, tokens.TokenIds);
        var request = new DetokenizeRequest();
        request.TokenIds.Add(tokens.TokenIds);
        Assert.Equal("naïve <|im_end|>", await server.Client.DetokenizeAsync(request, Token));
    }

    [Fact]
    public async Task Two_models_answer_under_their_own_names()
    {
        await using WireServer server = await StartAsync(null, new FakeModel(), new FakeModel());
        IReadOnlyList<Model> models = await server.Client.ListModelsAsync(Token);
        Assert.Equal([WireServer.Model, "other"], models.Select(model => model.Name));
        GenerateRequest request = Prompt();
        request.Model = "other";
        Assert.Equal("other", (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Accepted.Model);
    }

    [Fact]
    public async Task The_server_describes_itself()
    {
        await using WireServer server = await StartAsync();
        ServerInfoResponse info = await server.Client.ServerInfoAsync(Token);
        Assert.Equal("modelserve", info.Software);
        Assert.Equal(4, info.SchemaRevision);
        Assert.Equal(512, info.Models[0].ContextTokens);
        Assert.Equal(256, info.Models[0].Capacity.Blocks);
        Assert.Equal(ModelState.Serving, info.Models[0].State);
        Assert.Equal(0.5f, info.Models[0].Defaults.Sampling.Temperature);
        Assert.Contains((uint)SyntheticCheckpoint.TurnEnd, info.Models[0].StopTokenIds);
    }

    private static async Task<List<string>> ToListAsync(IAsyncEnumerable<string> source)
    {
        var all = new List<string>();
        await foreach (string item in source)
        {
            all.Add(item);
        }

        return all;
    }
}
