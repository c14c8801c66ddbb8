using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Simulation;
using ModelServe.Facades.OpenEngine;
using Xunit;

namespace ModelServe.Api.Tests.Facades;

/// <summary>openengine.v1 as its clients use it.</summary>
public sealed class OpenEngineFacadeTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task Tokens_come_as_records_with_text_and_the_usage_comes_with_the_end()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("hello");
        GenerateRequest request = Request();
        request.Response = new ResponseOptions { ReturnOutputLogprobs = true, OutputCandidates = new CandidateTokenSelection { TopN = 3 } };
        List<GenerateResponse> all = await ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
        Assert.All(all, message => Assert.Equal("mine", message.RequestId));
        Assert.Equal("hello", string.Concat(all.SkipLast(1).Select(message => message.Token.Text)));
        TokenInfo[] tokens = [.. all.SkipLast(1).SelectMany(message => message.Token.Tokens)];
        Assert.Equal(6, tokens.Length);
        Assert.All(tokens, token => Assert.True(token.HasLogprob && token.Candidates.Count == 3));
        Assert.All(all.SkipLast(1), message => Assert.True(message.Token.HasOutputIndex && message.Usage is null));
        GenerateResponse last = all[^1];
        Assert.Equal((FinishReason.Stop, (uint)SyntheticCheckpoint.TurnEnd), (last.Finished.Reason, last.Finished.StopMatch.EosTokenId));
        Assert.Equal((5u, 6u, 11u), (last.Usage.PromptTokens, last.Usage.CompletionTokens, last.Usage.TotalTokens));
    }

    [Theory]
    [InlineData(null, 8u)]
    [InlineData(2u, 0u)]
    public async Task The_prompts_tokens_come_first_as_records_from_where_the_client_wants_them(uint? start, uint maxTokens)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("hello");
        GenerateRequest request = Request();
        request.Stopping.MaxTokens = maxTokens;
        request.Response = new ResponseOptions { ReturnPromptLogprobs = true, PromptCandidates = new CandidateTokenSelection { TopN = 2 } };
        if (start is { } first)
        {
            request.Response.PromptLogprobStart = first;
        }

        List<GenerateResponse> all = await ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
        int[] prompt = [.. request.TokenIds.Ids.Select(id => (int)id)];
        TokenInfo[] told = [.. all[0].Prompt.Tokens];
        Assert.Equal(prompt.Skip((int)(start ?? 0)), told.Select(token => (int)token.TokenId));
        foreach ((int i, TokenInfo token) in Enumerable.Range((int)(start ?? 0), told.Length).Zip(told))
        {
            Assert.Equal(i > 0, token.HasLogprob);
            Assert.Equal(i == 0 ? 0 : FakeScores.LogprobOf(prompt.AsSpan(0, i), prompt[i]), token.Logprob, 1e-6);
            Assert.Equal(i == 0 ? 0u : 1u + (uint)prompt[i], token.Rank);
            Assert.Equal(i == 0 ? [] : [1u, 2u], token.Candidates.Select(candidate => candidate.Rank));
        }

        Assert.All(all.Skip(1), message => Assert.Null(message.Prompt));
        Assert.Equal(maxTokens > 0 ? "hello" : "", string.Concat(all.Skip(1).SkipLast(1).Select(message => message.Token.Text)));
    }

    [Fact]
    public async Task Stops_of_the_client_are_matched_by_their_kind()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abcdef");
        GenerateRequest byText = Request();
        byText.Stopping.Conditions.Add(new StopCondition { StopText = "cd" });
        Assert.Equal("cd", (await ReadAllAsync(Inference(server).Generate(byText, cancellationToken: Token)))[^1].Finished.StopMatch.StopText);
        GenerateRequest byId = Request();
        byId.Stopping.Conditions.Add(new StopCondition { StopTokenId = 'b' });
        Assert.Equal('b', (await ReadAllAsync(Inference(server).Generate(byId, cancellationToken: Token)))[^1].Finished.StopMatch.StopTokenId);
    }

    [Fact]
    public async Task Every_guide_is_kept_and_told_among_the_capabilities()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("zzzzzzzz");
        (GuidedDecodingMode Mode, string Pattern, GuidedDecoding Guide)[] cases =
        [
            (GuidedDecodingMode.JsonSchema, "^[0-9]{3}$", new GuidedDecoding { JsonSchema = """{"type":"integer","minimum":100,"maximum":999}""" }),
            (GuidedDecodingMode.Regex, "^ab{1,3}c$", new GuidedDecoding { Regex = "ab{1,3}c" }),
            (GuidedDecodingMode.EbnfGrammar, "^(x-[0-9]){1,3}y$", new GuidedDecoding { EbnfGrammar = "root ::= many{1,3} \"y\"\nmany ::= \"x-\" [0-9]" }),
            (GuidedDecodingMode.Choice, "^(left|right)$", new GuidedDecoding { Choice = new ChoiceConstraint { Choices = { "left", "right" } } }),
            (GuidedDecodingMode.JsonObject, "^\\{", new GuidedDecoding { JsonObject = new JsonObjectConstraint() }),
        ];
        foreach ((_, string pattern, GuidedDecoding guide) in cases)
        {
            GenerateRequest request = Request();
            request.Stopping.MaxTokens = 60;
            request.Guided = guide;
            List<GenerateResponse> all = await ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
            Assert.Matches(pattern, string.Concat(all.SkipLast(1).Select(message => message.Token.Text)));
        }

        ModelInfo model = await Control(server).GetModelInfoAsync(new GetModelInfoRequest { Model = "fake" }, cancellationToken: Token);
        Assert.True(model.Generation.GuidedDecoding.Supported);
        Assert.Equal(cases.Select(entry => entry.Mode), model.Generation.GuidedDecoding.Modes);
    }

    [Fact]
    public async Task A_failure_after_acceptance_is_one_terminal_error_and_the_call_ends_well()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        GenerateRequest request = Request();
        request.Stopping.MaxTokens = 400;
        Task<List<GenerateResponse>> reading = ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        server.Drain.Begin();
        server.Drain.EndRequests();
        List<GenerateResponse> all = await reading;
        Assert.Equal((ErrorCode.Draining, true), (all[^1].Error.Code, all[^1].Error.Retryable));
        Assert.NotNull(all[^1].Usage);
    }

    [Fact]
    public async Task Refusals_come_before_acceptance_as_a_status_under_the_clients_names()
    {
        await using WireServer server = await StartAsync();
        (string Field, StatusCode Code, Action<GenerateRequest> Set)[] cases =
        [
            ("sampling.temperature", StatusCode.InvalidArgument, request => request.Sampling.Temperature = double.MaxValue),
            ("sampling.num_sequences", StatusCode.InvalidArgument, request => request.Sampling.NumSequences = 0),
            ("sampling.num_sequences", StatusCode.Unimplemented, request => request.Sampling.NumSequences = 2),
            ("stopping.conditions", StatusCode.InvalidArgument, request => request.Stopping.Conditions.Add(new StopCondition())),
            ("stopping.max_tokens", StatusCode.InvalidArgument, request => request.Stopping.MaxTokens = 0),
            ("response.output_candidates.top_n", StatusCode.InvalidArgument, request =>
                request.Response = new ResponseOptions { OutputCandidates = new CandidateTokenSelection { TopN = 99 } }),
            ("response.output_candidates", StatusCode.Unimplemented, request =>
                request.Response = new ResponseOptions { OutputCandidates = new CandidateTokenSelection { All = new AllCandidates() } }),
            ("response.prompt_candidates.top_n", StatusCode.InvalidArgument, request =>
                request.Response = new ResponseOptions { PromptCandidates = new CandidateTokenSelection { TopN = 21 } }),
            ("response.prompt_candidates", StatusCode.Unimplemented, request =>
                request.Response = new ResponseOptions { PromptCandidates = new CandidateTokenSelection { All = new AllCandidates() } }),
            ("response.prompt_logprob_start", StatusCode.InvalidArgument, request => request.Response = new ResponseOptions { PromptLogprobStart = 2 }),
            ("kv.session", StatusCode.Unimplemented, request => request.Kv = new KvOptions { Session = new KvSessionRef() }),
            ("kv.cache_salt", StatusCode.InvalidArgument, request => request.Kv = new KvOptions { CacheSalt = new string('s', 200) }),
            ("guided.structural_tag", StatusCode.Unimplemented, request => request.Guided = new GuidedDecoding { StructuralTag = "{}" }),
            ("guided", StatusCode.InvalidArgument, request => request.Guided = new GuidedDecoding()),
            ("guided.ebnf_grammar", StatusCode.InvalidArgument, request => request.Guided = new GuidedDecoding { EbnfGrammar = "root ::= root" }),
            ("media", StatusCode.Unimplemented, request => request.Media.Add(new MediaItem())),
            ("lora_name", StatusCode.Unimplemented, request => request.LoraName = "l"),
            ("input", StatusCode.InvalidArgument, request => request.ClearInput()),
            ("model", StatusCode.NotFound, request => request.Model = "none"),
        ];
        foreach ((string field, StatusCode code, Action<GenerateRequest> set) in cases)
        {
            GenerateRequest request = Request();
            set(request);
            RpcException refused = await FailsAsync(Inference(server).Generate(request, cancellationToken: Token));
            Assert.Equal((field, code), (field, refused.StatusCode));
            Assert.StartsWith(field, refused.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Metadata["field"], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Metadata_is_read_strictly()
    {
        await using WireServer server = await StartAsync();
        foreach ((string key, string value) in new[]
        {
            ("openengine-priority", "high"), ("openengine-priority", "99999999999"), ("openengine-priority", "5000"), ("openengine-target-dp-rank", "1"),
        })
        {
            RpcException refused = await FailsAsync(Inference(server).Generate(Request(), new Metadata { { key, value } }, cancellationToken: Token));
            Assert.Equal((value, StatusCode.InvalidArgument), (value, refused.StatusCode));
            Assert.Contains(key, refused.Status.Detail, StringComparison.Ordinal);
        }

        var fitting = new Metadata { { "openengine-priority", "5" }, { "openengine-target-dp-rank", "0" }, { "openengine-routing-key", "k" } };
        Assert.NotEmpty(await ReadAllAsync(Inference(server).Generate(Request(), fitting, cancellationToken: Token)));
    }

    [Fact]
    public async Task The_server_describes_itself_and_its_health()
    {
        await using WireServer server = await StartAsync();
        ServerInfo info = await Control(server).GetServerInfoAsync(new GetServerInfoRequest(), cancellationToken: Token);
        Assert.Equal((EngineRole.Aggregated, 1u, 1u), (info.EngineRole, info.SchemaRevision, info.MinimumClientRevision));
        Assert.Equal((16u, 256ul, 8ul), (info.Capacity.KvBlockSize, info.Capacity.TotalKvBlocks, info.Capacity.MaxRunningRequests));
        Assert.Equal(["fake"], info.SupportedModels);
        ModelInfo model = await Control(server).GetModelInfoAsync(new GetModelInfoRequest { Model = "fake" }, cancellationToken: Token);
        Assert.Equal((512u, 20u), (model.MaxContextLength, model.Generation.OutputLogprobs.MaxTopN));
        LoadInfo load = await Control(server).GetLoadAsync(new GetLoadRequest { IncludePerRank = true }, cancellationToken: Token);
        Assert.Equal((0u, 256ul, 1), (load.RunningRequests, load.TotalKvBlocks, load.Ranks.Count));

        HealthResponse health = await Control(server).HealthAsync(new HealthRequest { IncludeInferenceProbe = true }, cancellationToken: Token);
        Assert.Equal(HealthState.Ready, health.State);
        Assert.Equal(["scheduler", "inference_probe"], health.Checks.Select(check => check.Name));
        Assert.Equal(
            HealthState.NotReady, (await Control(server).HealthAsync(new HealthRequest { Role = EngineRole.Prefill }, cancellationToken: Token)).State);
        server.Drain.Begin();
        Assert.Equal(HealthState.Draining, (await Control(server).HealthAsync(new HealthRequest(), cancellationToken: Token)).State);
    }

    [Fact]
    public async Task Aborts_and_adapters_answer_as_the_interface_says()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal(StatusCode.NotFound, await CodeAsync(Control(server).AbortAsync(new AbortRequest { RequestId = "none" }, cancellationToken: Token)));
        Assert.Equal(StatusCode.InvalidArgument, await CodeAsync(Control(server).AbortAsync(new AbortRequest(), cancellationToken: Token)));
        Assert.Equal(StatusCode.Unimplemented, await CodeAsync(Control(server).AbortAsync(new AbortRequest { AllRequests = new AllRequests() }, cancellationToken: Token)));
        Assert.Equal(StatusCode.FailedPrecondition, await CodeAsync(Control(server).LoadLoraAsync(new LoadLoraRequest(), cancellationToken: Token)));
        Assert.Equal(StatusCode.FailedPrecondition, await CodeAsync(Control(server).UnloadLoraAsync(new UnloadLoraRequest(), cancellationToken: Token)));
        Assert.Empty((await Control(server).ListLorasAsync(new ListLorasRequest(), cancellationToken: Token)).Adapters);
        Assert.Empty((await Control(server).GetKvEventSourcesAsync(new GetKvEventSourcesRequest(), cancellationToken: Token)).Sources);

        server.Fake.StepTime = FakeModel.Slow;
        GenerateRequest request = Request();
        request.Stopping.MaxTokens = 400;
        Task<List<GenerateResponse>> reading = ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Assert.Equal(AbortStatus.Aborted, (await Control(server).AbortAsync(new AbortRequest { RequestId = "mine" }, cancellationToken: Token)).Status);
        Assert.Equal(FinishReason.Cancelled, (await reading)[^1].Finished.Reason);
    }

    [Fact]
    public async Task Kv_events_come_with_whole_hashes()
    {
        await using WireServer server = await StartAsync();
        using AsyncServerStreamingCall<SubscribeKvEventsResponse> call = Control(server).SubscribeKvEvents(new SubscribeKvEventsRequest(), cancellationToken: Token);
        await call.ResponseHeadersAsync;
        GenerateRequest request = Request();
        request.TokenIds.Ids.Add(Enumerable.Repeat(7u, 40));
        await ReadAllAsync(Inference(server).Generate(request, cancellationToken: Token));
        Assert.True(await call.ResponseStream.MoveNext(Token));
        KvEventBatch batch = call.ResponseStream.Current.Batch;
        BlockStored stored = Assert.Single(batch.Events).BlockStored;
        Assert.Equal((1ul, 16u, 16), (batch.SequenceNumber, stored.BlockSize, stored.BlockHashes[0].Value.Length));
        Assert.Equal(16, stored.TokenIds.Count);

        using AsyncServerStreamingCall<SubscribeKvEventsResponse> replay = Control(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { StartSequenceNumber = 1 }, cancellationToken: Token);
        Assert.True(await replay.ResponseStream.MoveNext(Token));
        Assert.Equal(batch, replay.ResponseStream.Current.Batch);
        Assert.Equal(StatusCode.Unimplemented, (await FailsAsync(Control(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { IncludeSnapshot = true }, cancellationToken: Token))).StatusCode);
        Assert.Equal(StatusCode.OutOfRange, (await FailsAsync(Control(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { StartSequenceNumber = 99 }, cancellationToken: Token))).StatusCode);
    }

    private static Inference.InferenceClient Inference(WireServer server) => new(server.Channel);

    private static Control.ControlClient Control(WireServer server) => new(server.Channel);

    private static GenerateRequest Request() => new()
    {
        RequestId = "mine",
        TokenIds = new TokenIds { Ids = { 'a', 'b', 'c', 'd', SyntheticCheckpoint.Begin } },
        Sampling = new SamplingParams { Temperature = 0 },
        Stopping = new StoppingOptions { MaxTokens = 32 },
    };

    private static async Task<List<T>> ReadAllAsync<T>(AsyncServerStreamingCall<T> call)
    {
        using (call)
        {
            List<T> all = [];
            await foreach (T message in call.ResponseStream.ReadAllAsync(Token))
            {
                all.Add(message);
            }

            return all;
        }
    }

    private static Task<RpcException> FailsAsync<T>(AsyncServerStreamingCall<T> call) =>
        Assert.ThrowsAnyAsync<RpcException>(() => ReadAllAsync(call));

    private static async Task<StatusCode> CodeAsync<T>(AsyncUnaryCall<T> call) =>
        (await Assert.ThrowsAnyAsync<RpcException>(() => call.ResponseAsync)).StatusCode;
}
