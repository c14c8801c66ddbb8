using System.IO.Compression;
using System.Security.Cryptography;
using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Facades;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Simulation;
using ModelServe.Facades.Common;
using ModelServe.Facades.Vllm;
using Xunit;

namespace ModelServe.Api.Tests.Facades;

/// <summary>vllm.grpc.engine as a token-level router uses it.</summary>
public sealed class VllmFacadeTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_streamed_request_brings_chunks_and_one_complete_message()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("tokens");
        List<GenerateResponse> all = await ReadAllAsync(Client(server).Generate(Request(stream: true), cancellationToken: Token));
        Assert.All(all.SkipLast(1), message => Assert.Equal(GenerateResponse.ResponseOneofCase.Chunk, message.ResponseCase));
        GenerateComplete complete = all[^1].Complete;
        uint[] ids = [.. all.SkipLast(1).SelectMany(message => message.Chunk.TokenIds)];
        Assert.Equal("tokens".Select(letter => (uint)letter).Append((uint)SyntheticCheckpoint.TurnEnd), ids);
        Assert.Equal(ids, complete.OutputIds);
        Assert.Equal(ids.Length, all.SkipLast(1).Sum(message => (int)message.Chunk.CompletionTokens));
        Assert.Equal(("stop", 5u, (uint)ids.Length), (complete.FinishReason, complete.PromptTokens, complete.CompletionTokens));
        // The model's own end token is nothing that the client asked for.
        Assert.Equal(GenerateComplete.MatchedStopOneofCase.None, complete.MatchedStopCase);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_request_without_stream_is_one_message_with_everything()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("one two");
        GenerateRequest request = Request(stream: false);
        request.SamplingParams.Stop.Add(" t");
        request.SamplingParams.Logprobs = 2;
        GenerateComplete complete = Assert.Single(await ReadAllAsync(Client(server).Generate(request, cancellationToken: Token))).Complete;
        Assert.Equal("one t".Length, complete.OutputIds.Count);
        Assert.Equal(" t", complete.MatchedStopStr);
        Assert.Equal(complete.OutputIds, complete.OutputLogprobs.TokenIds);
        Assert.All(complete.OutputLogprobs.TopLogprobs, top => Assert.Equal(2, top.TokenIds.Count));
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 0)]
    public async Task The_prompts_log_probabilities_come_with_the_first_chunk_or_the_whole(bool stream, int top)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        GenerateRequest request = Request(stream);
        request.SamplingParams.PromptLogprobs = top;
        int[] prompt = [.. request.Tokenized.InputIds.Select(id => (int)id)];
        List<GenerateResponse> all = await ReadAllAsync(Client(server).Generate(request, cancellationToken: Token));
        InputLogProbs told = stream ? all[0].Chunk.InputLogprobs : Assert.Single(all).Complete.InputLogprobs;
        Assert.All(all.Skip(1), message => Assert.Null(message.Chunk?.InputLogprobs ?? message.Complete?.InputLogprobs));
        Assert.Equal(request.Tokenized.InputIds, told.TokenIds);
        Assert.Equal(
            [null, .. Enumerable.Range(1, prompt.Length - 1).Select(i => (float?)FakeScores.LogprobOf(prompt.AsSpan(0, i), prompt[i]))],
            told.TokenLogprobs.Select(token => token.HasValue ? token.Value : (float?)null));
        Assert.Equal(top == 0 ? [] : [0, .. Enumerable.Repeat(top, prompt.Length - 1)], told.TopLogprobs.Select(one => one.TokenIds.Count));
    }

    [Fact]
    public async Task A_stop_token_of_the_client_is_reported_as_matched()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        GenerateRequest request = Request(stream: true);
        request.SamplingParams.StopTokenIds.Add('b');
        GenerateComplete complete = (await ReadAllAsync(Client(server).Generate(request, cancellationToken: Token)))[^1].Complete;
        Assert.Equal('b', complete.MatchedTokenId);
    }

    [Fact]
    public async Task Every_constraint_is_kept()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("zzzzzzzz");
        (string Pattern, Action<SamplingParams> Set)[] cases =
        [
            ("^[0-9]{3}$", given => given.JsonSchema = """{"type":"integer","minimum":100,"maximum":999}"""),
            ("^ab{1,3}c$", given => given.Regex = "ab{1,3}c"),
            ("^x-y(x-y){0,2}$", given => given.Grammar = "root ::= pair{1,3}\npair ::= \"x-\" \"y\""),
            ("^(left|right)$", given => given.Choice = new ChoiceConstraint { Choices = { "left", "right" } }),
            ("^\\{", given => given.JsonObject = true),
        ];
        foreach ((string pattern, Action<SamplingParams> set) in cases)
        {
            GenerateRequest request = Request(stream: false);
            request.SamplingParams.MaxTokens = 60;
            set(request.SamplingParams);
            GenerateComplete complete = (await ReadAllAsync(Client(server).Generate(request, cancellationToken: Token)))[^1].Complete;
            Assert.Matches(pattern, string.Concat(complete.OutputIds.Where(id => id < 128).Select(id => (char)id)));
        }
    }

    [Fact]
    public async Task What_is_not_offered_is_unimplemented_by_name()
    {
        await using WireServer server = await StartAsync();
        (string Field, Action<GenerateRequest> Set)[] cases =
        [
            ("prompt_logprobs of -1", request => request.SamplingParams.PromptLogprobs = -1),
            ("structural_tag", request => request.SamplingParams.StructuralTag = "{}"),
            ("n above 1", request => request.SamplingParams.N = 2),
            ("logprobs", request => request.SamplingParams.Logprobs = -1),
            ("truncate_prompt_tokens", request => request.SamplingParams.TruncatePromptTokens = 3),
            ("kv_transfer_params", request => request.KvTransferParams = new KvTransferParams()),
            ("kv_transfer_params_json", request => request.KvTransferParamsJson = "{}"),
            ("mm_inputs", request => request.MmInputs = new MultimodalInputs()),
        ];
        foreach ((string field, Action<GenerateRequest> set) in cases)
        {
            GenerateRequest request = Request(stream: true);
            set(request);
            RpcException refused = await FailsAsync(Client(server).Generate(request, cancellationToken: Token));
            Assert.Equal((field, StatusCode.Unimplemented), (field, refused.StatusCode));
            Assert.Contains(field, refused.Status.Detail, StringComparison.Ordinal);
        }

        RpcException embed = await Assert.ThrowsAnyAsync<RpcException>(
            () => Client(server).EmbedAsync(new EmbedRequest(), cancellationToken: Token).ResponseAsync);
        Assert.Equal(StatusCode.Unimplemented, embed.StatusCode);
    }

    [Fact]
    public async Task Bad_values_are_refused_under_the_clients_own_names()
    {
        await using WireServer server = await StartAsync();
        (string Field, Action<GenerateRequest> Set)[] cases =
        [
            ("sampling_params.temperature", request => request.SamplingParams.Temperature = float.NaN),
            ("sampling_params.top_p", request => request.SamplingParams.TopP = 2),
            ("sampling_params.logprobs", request => request.SamplingParams.Logprobs = 21),
            ("sampling_params.prompt_logprobs", request => request.SamplingParams.PromptLogprobs = 1000),
            ("sampling_params.max_tokens", request => request.SamplingParams.MaxTokens = uint.MaxValue),
            ("sampling_params.stop_token_ids", request => request.SamplingParams.StopTokenIds.Add(uint.MaxValue)),
            ("sampling_params.logit_bias", request => request.SamplingParams.LogitBias.Add(-1, 1)),
            ("sampling_params.regex", request => request.SamplingParams.Regex = "("),
            ("sampling_params.grammar", request => request.SamplingParams.Grammar = "root ::= missing"),
            ("sampling_params.constraint", request => request.SamplingParams.Choice = new ChoiceConstraint()),
            ("sampling_params.constraint", request => request.SamplingParams.JsonObject = false),
            ("tokenized.input_ids", request => request.Tokenized.InputIds.Add(260)),
            ("input", request => request.Tokenized = new TokenizedInput()),
            ("input", request => request.ClearInput()),
            ("request_id", request => request.RequestId = "with space"),
            ("data_parallel_rank", request => request.DataParallelRank = 1),
        ];
        foreach ((string field, Action<GenerateRequest> set) in cases)
        {
            GenerateRequest request = Request(stream: true);
            set(request);
            RpcException refused = await FailsAsync(Client(server).Generate(request, cancellationToken: Token));
            Assert.Equal((field, StatusCode.InvalidArgument), (field, refused.StatusCode));
            Assert.StartsWith(field, Assert.Single(refused.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations).Field, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_aborted_request_ends_and_unknown_ids_are_passed_over()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        GenerateRequest request = Request(stream: true);
        request.RequestId = "mine";
        request.SamplingParams.MaxTokens = 400;
        Task<List<GenerateResponse>> reading = ReadAllAsync(Client(server).Generate(request, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        await Client(server).AbortAsync(new AbortRequest { RequestIds = { "other", "mine" } }, cancellationToken: Token);
        Assert.Equal("abort", (await reading)[^1].Complete.FinishReason);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Model_server_health_and_loads_tell_what_a_router_needs()
    {
        await using WireServer server = await StartAsync();
        GetModelInfoResponse model = await Client(server).GetModelInfoAsync(new GetModelInfoRequest(), cancellationToken: Token);
        Assert.Equal(("fake", true, 512u, 260u, 511), (model.ServedModelName, model.IsGeneration, model.MaxContextLength, model.VocabSize, model.MaxReqInputLen));
        Assert.Equal([SyntheticCheckpoint.TurnEnd, SyntheticCheckpoint.EndOfText], model.EosTokenIds);
        Assert.Contains("\"temperature\":0.5", model.DefaultSamplingParamsJson, StringComparison.Ordinal);
        Assert.True((await Client(server).HealthCheckAsync(new HealthCheckRequest(), cancellationToken: Token)).Healthy);

        await ReadAllAsync(Client(server).Generate(Request(stream: true), cancellationToken: Token));
        GetServerInfoResponse info = await Client(server).GetServerInfoAsync(new GetServerInfoRequest(), cancellationToken: Token);
        Assert.Equal((0u, false, 1), (info.ActiveRequests, info.IsPaused, info.DataParallelSize));
        Assert.True(info.UptimeSeconds > 0);
        Assert.True(info.LastReceiveTimestamp > 1e9);

        GetLoadsResponse loads = await Client(server).GetLoadsAsync(new GetLoadsRequest { Include = { "core" } }, cancellationToken: Token);
        SchedulerLoad load = Assert.Single(loads.Loads);
        Assert.Equal((0, 8, 256 * 16), (load.NumTotalReqs, load.MaxRunningRequests, load.MaxTotalNumTokens));
        server.Fake.BeginDrain();
        Assert.False((await Client(server).HealthCheckAsync(new HealthCheckRequest(), cancellationToken: Token)).Healthy);
    }

    [Fact]
    public async Task The_tokenizer_comes_as_an_archive_with_its_hash()
    {
        await using WireServer server = await StartAsync();
        List<GetTokenizerChunk> chunks = await ReadAllAsync(Client(server).GetTokenizer(new GetTokenizerRequest(), cancellationToken: Token));
        Assert.All(chunks.SkipLast(1), chunk => Assert.Empty(chunk.Sha256));
        byte[] bytes = [.. chunks.SelectMany(chunk => chunk.Data)];
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), chunks[^1].Sha256);
        using var zip = new ZipArchive(new MemoryStream(bytes));
        Assert.Equal(
            ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"], zip.Entries.Select(entry => entry.Name));
        ZipArchiveEntry tokenizer = zip.GetEntry("tokenizer.json")!;
        using var reader = new StreamReader(await tokenizer.OpenAsync(Token));
        Assert.Equal(await File.ReadAllTextAsync(Path.Combine(Checkpoint.Folder, "tokenizer.json"), Token), await reader.ReadToEndAsync(Token));
    }

    [Fact]
    public async Task Kv_events_come_one_a_batch_numbered_without_gaps_and_can_be_replayed()
    {
        await using WireServer server = await StartAsync();
        using AsyncServerStreamingCall<KvEventBatch> call = Client(server).SubscribeKvEvents(new SubscribeKvEventsRequest(), cancellationToken: Token);
        await call.ResponseHeadersAsync;
        GenerateRequest request = Request(stream: false);
        request.Tokenized.InputIds.Add(Enumerable.Repeat(7u, 40));
        await ReadAllAsync(Client(server).Generate(request, cancellationToken: Token));
        KvEventBatch first = await NextAsync(call);
        KvEventBatch second = await NextAsync(call);
        Assert.Equal((1ul, 2ul), (first.SequenceNumber, second.SequenceNumber));
        KvBlock block = Assert.Single(Assert.Single(first.Events).Stored.Blocks);
        Assert.Equal(16, block.BlockSize);
        Assert.False(first.Events[0].Stored.HasParentBlockHash);
        Assert.Equal(block.BlockHash, second.Events[0].Stored.ParentBlockHash);

        using AsyncServerStreamingCall<KvEventBatch> replay = Client(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { StartSequenceNumber = 1 }, cancellationToken: Token);
        Assert.Equal(second, await NextAsync(replay));
        RpcException beyond = await FailsAsync(Client(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { StartSequenceNumber = 99 }, cancellationToken: Token));
        Assert.Equal(StatusCode.OutOfRange, beyond.StatusCode);
    }

    [Fact]
    public async Task With_several_models_metadata_names_one()
    {
        using var first = new FakeModel();
        using var second = new FakeModel(context: 64);
        await using WireServer server = await StartAsync(null, first, second);
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(
            () => Client(server).GetModelInfoAsync(new GetModelInfoRequest(), cancellationToken: Token).ResponseAsync);
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        GetModelInfoResponse named = await Client(server).GetModelInfoAsync(
            new GetModelInfoRequest(), new Metadata { { "modelserve-model", "other" } }, cancellationToken: Token);
        Assert.Equal(64u, named.MaxContextLength);
    }

    [Fact]
    public async Task A_facade_that_is_switched_off_is_unimplemented()
    {
        await using WireServer server = await StartAsync(new ApiOptions { Facades = FacadeSet.KServe });
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(
            () => Client(server).HealthCheckAsync(new HealthCheckRequest(), cancellationToken: Token).ResponseAsync);
        Assert.Equal(StatusCode.Unimplemented, refused.StatusCode);
    }

    private static VllmEngine.VllmEngineClient Client(WireServer server) => new(server.Channel);

    private static GenerateRequest Request(bool stream) => new()
    {
        Tokenized = new TokenizedInput { InputIds = { 'a', 'b', 'c', 'd', SyntheticCheckpoint.Begin } },
        SamplingParams = new SamplingParams { Temperature = 0, MaxTokens = 32 },
        Stream = stream,
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

    private static async Task<T> NextAsync<T>(AsyncServerStreamingCall<T> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(Token));
        return call.ResponseStream.Current;
    }

    private static Task<RpcException> FailsAsync<T>(AsyncServerStreamingCall<T> call) =>
        Assert.ThrowsAnyAsync<RpcException>(() => ReadAllAsync(call));
}
