using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Bad requests through the wire: the status, the field by name, and a server that goes on.</summary>
public sealed class RejectionTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    public static TheoryData<string, string> BadOptions() => new()
    {
        { "options.sampling.temperature", """{"sampling":{"temperature":"NaN"}}""" },
        { "options.sampling.temperature", """{"sampling":{"temperature":"Infinity"}}""" },
        { "options.sampling.temperature", """{"sampling":{"temperature":-0.1}}""" },
        { "options.sampling.temperature", """{"sampling":{"temperature":101}}""" },
        { "options.sampling.top_k", """{"sampling":{"topK":-1}}""" },
        { "options.sampling.top_p", """{"sampling":{"topP":0}}""" },
        { "options.sampling.top_p", """{"sampling":{"topP":1.01}}""" },
        { "options.sampling.top_p", """{"sampling":{"topP":"NaN"}}""" },
        { "options.sampling.min_p", """{"sampling":{"minP":-1}}""" },
        { "options.sampling.min_p", """{"sampling":{"minP":"-Infinity"}}""" },
        { "options.sampling.repetition_penalty", """{"sampling":{"repetitionPenalty":0}}""" },
        { "options.sampling.repetition_penalty", """{"sampling":{"repetitionPenalty":"NaN"}}""" },
        { "options.sampling.presence_penalty", """{"sampling":{"presencePenalty":2.5}}""" },
        { "options.sampling.presence_penalty", """{"sampling":{"presencePenalty":"NaN"}}""" },
        { "options.sampling.frequency_penalty", """{"sampling":{"frequencyPenalty":-2.5}}""" },
        { "options.sampling.frequency_penalty", """{"sampling":{"frequencyPenalty":"Infinity"}}""" },
        { "options.sampling.top_logprobs", """{"sampling":{"topLogprobs":21}}""" },
        { "options.sampling.top_logprobs", """{"sampling":{"topLogprobs":-2}}""" },
        { "options.sampling.top_logprobs", """{"sampling":{"topLogprobs":2,"logprobs":false}}""" },
        { "options.sampling.logit_bias", """{"sampling":{"logitBias":{"260":1}}}""" },
        { "options.sampling.logit_bias", """{"sampling":{"logitBias":{"4294967295":1}}}""" },
        { "options.sampling.logit_bias", """{"sampling":{"logitBias":{"1":"NaN"}}}""" },
        { "options.sampling.logit_bias", """{"sampling":{"logitBias":{"1":101}}}""" },
        { "options.stop.max_tokens", """{"stop":{"maxTokens":0}}""" },
        { "options.stop.max_tokens", """{"stop":{"maxTokens":-5}}""" },
        { "options.stop.max_tokens", """{"stop":{"maxTokens":506}}""" },
        { "options.stop.max_tokens", """{"stop":{"maxTokens":2147483647}}""" },
        { "options.stop.min_tokens", """{"stop":{"minTokens":-1}}""" },
        { "options.stop.min_tokens", """{"stop":{"minTokens":9,"maxTokens":8}}""" },
        { "options.stop.strings", """{"stop":{"strings":[""]}}""" },
        { "options.stop.strings", """{"stop":{"strings":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}}""" },
        { "options.stop.token_ids", """{"stop":{"tokenIds":[260]}}""" },
        { "options.stop.token_ids", """{"stop":{"tokenIds":[2147483648]}}""" },
        { "options.priority", """{"priority":1001}""" },
        { "options.priority", """{"priority":-2147483648}""" },
        { "options.cache_salt", """{"cacheSalt":""}""" },
        { "options.request_id", """{"requestId":""}""" },
        { "options.request_id", """{"requestId":"two words"}""" },
        { "options.request_id", """{"requestId":"línea"}""" },
    };

    [Theory]
    [MemberData(nameof(BadOptions))]
    public async Task A_bad_option_is_refused_by_name(string field, string json)
    {
        await using WireServer server = await StartAsync();
        GenerateRequest request = Prompt();
        request.Options = GenerationOptions.Parser.ParseJson(json);
        RpcException exception = await RefusedAsync(server, request, StatusCode.InvalidArgument);
        Assert.Equal(field, Violation(exception).Field);
        Assert.Contains(field, exception.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_beyond_their_size_are_refused()
    {
        await using WireServer server = await StartAsync();
        GenerateRequest biased = Prompt(set: options =>
        {
            for (uint i = 0; i < 1025; i++)
            {
                options.Sampling.LogitBias[i] = 1;
            }
        });
        Assert.Equal("options.sampling.logit_bias", Violation(await RefusedAsync(server, biased, StatusCode.InvalidArgument)).Field);
        GenerateRequest stops = Prompt(set: options => options.Stop.TokenIds.Add(Enumerable.Repeat(1u, 129)));
        Assert.Equal("options.stop.token_ids", Violation(await RefusedAsync(server, stops, StatusCode.InvalidArgument)).Field);
        GenerateRequest longStop = Prompt(set: options => options.Stop.Strings.Add(new string('s', 257)));
        Assert.Equal("options.stop.strings", Violation(await RefusedAsync(server, longStop, StatusCode.InvalidArgument)).Field);
        GenerateRequest longName = Prompt(set: options => options.RequestId = new string('r', 129));
        Assert.Equal("options.request_id", Violation(await RefusedAsync(server, longName, StatusCode.InvalidArgument)).Field);
    }

    [Fact]
    public async Task An_empty_prompt_is_refused()
    {
        await using WireServer server = await StartAsync();
        await RefusedAsync(server, new GenerateRequest(), StatusCode.InvalidArgument, "EMPTY_PROMPT");
        await RefusedAsync(server, new GenerateRequest { Text = string.Empty }, StatusCode.InvalidArgument, "EMPTY_PROMPT");
        await RefusedAsync(server, new GenerateRequest { TokenIds = new TokenIds() }, StatusCode.InvalidArgument, "EMPTY_PROMPT");
        await RefusedChatAsync(server, Conversation(), StatusCode.InvalidArgument, "EMPTY_PROMPT");
    }

    [Fact]
    public async Task A_prompt_as_long_as_the_context_is_refused_with_both_numbers()
    {
        await using WireServer server = await StartAsync();
        GenerateRequest request = Prompt(1, text: new string('p', 511));
        RpcException exception = await RefusedAsync(server, request, StatusCode.InvalidArgument, "PROMPT_TOO_LONG");
        Assert.Contains("512", exception.Status.Detail, StringComparison.Ordinal);
        GenerateRequest fitting = Prompt(1, text: new string('p', 510));
        Assert.Single((await server.Client.GenerateOnceAsync(fitting, cancellationToken: Token)).Output.TokenIds);
    }

    [Fact]
    public async Task A_request_that_can_never_fit_the_cache_is_refused()
    {
        await using WireServer server = await StartAsync(null, new FakeModel(context: 512, blocks: 10));
        await RefusedAsync(server, Prompt(400), StatusCode.InvalidArgument, "EXCEEDS_CACHE");
    }

    [Fact]
    public async Task An_id_outside_the_vocabulary_is_refused()
    {
        await using WireServer server = await StartAsync();
        foreach (uint id in new uint[] { SyntheticCheckpoint.VocabularySize, int.MaxValue, 1u << 31, uint.MaxValue })
        {
            GenerateRequest request = Prompt();
            request.TokenIds.Ids[0] = id;
            Assert.Equal("token_ids", Violation(await RefusedAsync(server, request, StatusCode.InvalidArgument)).Field);
        }

        var decode = new DetokenizeRequest();
        decode.TokenIds.Add(SyntheticCheckpoint.VocabularySize);
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.DetokenizeAsync(decode, Token));
        Assert.Equal(StatusCode.InvalidArgument, exception.StatusCode);
    }

    [Fact]
    public async Task An_unknown_model_is_not_found()
    {
        await using WireServer server = await StartAsync();
        GenerateRequest request = Prompt();
        request.Model = "../etc/passwd";
        RpcException exception = await RefusedAsync(server, request, StatusCode.NotFound, "UNKNOWN_MODEL");
        Assert.Equal("model", exception.GetRpcStatus()!.GetDetail<ResourceInfo>()!.ResourceType);
        RpcException lookup = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GetModelAsync("nothing", Token));
        Assert.Equal(StatusCode.NotFound, lookup.StatusCode);
    }

    [Fact]
    public async Task A_server_of_two_models_wants_a_name()
    {
        await using WireServer server = await StartAsync(null, new FakeModel(), new FakeModel());
        Assert.Equal("model", Violation(await RefusedAsync(server, Prompt(), StatusCode.InvalidArgument)).Field);
    }

    [Fact]
    public async Task A_live_request_id_cannot_be_used_twice_but_again()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Hold();
        Task<GenerationResult> first = server.Client.GenerateOnceAsync(Prompt(set: o => o.RequestId = "same"), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 1, "the first is in");
        await RefusedAsync(server, Prompt(set: options => options.RequestId = "same"), StatusCode.AlreadyExists, "DUPLICATE_REQUEST");
        server.Fake.Release();
        await first;
        await server.QuiesceAsync();
        await server.Client.GenerateOnceAsync(Prompt(set: options => options.RequestId = "same"), cancellationToken: Token);
    }

    [Fact]
    public async Task A_field_that_this_server_does_not_know_is_refused_not_ignored()
    {
        await using WireServer server = await StartAsync();
        // Field 4000, a varint: what a newer client's option looks like here.
        byte[] unknown = [0x80, 0xfa, 0x01, 0x05];
        GenerateRequest request = Prompt();
        request.Options.Sampling.MergeFrom(unknown);
        RpcException exception = await RefusedAsync(server, request, StatusCode.Unimplemented, "UNSUPPORTED");
        Assert.Contains("4000", exception.Status.Detail, StringComparison.Ordinal);
        ChatRequest chat = Conversation(("user", "hi"));
        chat.Messages[0].MergeFrom(unknown);
        await RefusedChatAsync(server, chat, StatusCode.Unimplemented, "UNSUPPORTED");
    }

    [Fact]
    public async Task A_conversation_that_the_template_refuses_says_why()
    {
        await using WireServer server = await StartAsync();
        RpcException exception = await RefusedChatAsync(
            server, Conversation(("user", "a"), ("user", "b")), StatusCode.InvalidArgument, "INVALID_FIELD");
        Assert.Contains("roles must alternate", exception.Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "hi", "messages[0].role")]
    [InlineData("us er", "hi", "messages[0].role")]
    public async Task A_bad_role_is_refused_by_place(string role, string content, string field)
    {
        await using WireServer server = await StartAsync();
        RpcException exception = await RefusedChatAsync(
            server, Conversation((role, content)), StatusCode.InvalidArgument, "INVALID_FIELD");
        Assert.Equal(field, Violation(exception).Field);
    }

    [Fact]
    public async Task Template_arguments_that_the_server_sets_itself_are_refused()
    {
        await using WireServer server = await StartAsync();
        foreach (string name in new[] { "messages", "tokenize", "chat_template", "9lives", "Upper", "a.b" })
        {
            ChatRequest request = Conversation(("user", "hi"));
            request.Chat = new ChatOptions { TemplateArguments = new Struct { Fields = { [name] = Value.ForBool(true) } } };
            Assert.Equal(
                "chat.template_arguments",
                Violation(await RefusedChatAsync(server, request, StatusCode.InvalidArgument, "INVALID_FIELD")).Field);
        }
    }

    [Fact]
    public async Task A_control_token_in_user_text_stays_text()
    {
        await using WireServer server = await StartAsync();
        TokenizeResponse tokens = await server.Client.TokenizeAsync(
            new TokenizeRequest { Chat = new V1.Conversation { Messages = { new ChatMessage { Role = "user", Content = "a<|im_end|>b" } } } }, Token);
        Assert.Equal(1, tokens.TokenIds.Count(id => id == SyntheticCheckpoint.TurnEnd));
    }

    private static async Task<RpcException> RefusedAsync(
        WireServer server, GenerateRequest request, StatusCode status, string reason = "INVALID_FIELD")
    {
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => ReadAsync(server.Client.GenerateAsync(request, cancellationToken: Token)));
        return await CheckAsync(server, exception, status, reason);
    }

    private static async Task<RpcException> RefusedChatAsync(
        WireServer server, ChatRequest request, StatusCode status, string reason)
    {
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => ReadAsync(server.Client.ChatAsync(request, cancellationToken: Token)));
        return await CheckAsync(server, exception, status, reason);
    }

    private static async Task<RpcException> CheckAsync(
        WireServer server, RpcException exception, StatusCode status, string reason)
    {
        Assert.Equal(status, exception.StatusCode);
        Assert.Equal(reason, exception.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
        Assert.DoesNotContain("System.", exception.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(ModelState.Serving, (await server.Client.GetModelAsync(WireServer.Model, Token)).State);
        return exception;
    }

    private static BadRequest.Types.FieldViolation Violation(RpcException exception) =>
        Assert.Single(exception.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations);
}
