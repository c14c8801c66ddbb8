using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using ModelServe.V1;
using Xunit;
using HealthClient = Grpc.Health.V1.Health.HealthClient;

namespace ModelServe.Api.Tests.Contract;

/// <summary>A model that goes ends its requests, gives its memory back, and harms nobody.</summary>
public sealed class UnloadTests(SyntheticCheckpoint checkpoint) : ContractTest(checkpoint)
{
    [Fact]
    public async Task An_unloaded_model_is_known_and_refused_and_can_be_loaded_again_by_its_name()
    {
        await using WireServer server = await StartLoadingAsync();
        await LoadAsync(server, "other");
        List<UnloadModelEvent> events = await ReadAllAsync(Models(server).Unload(new UnloadModelRequest { Model = "other" }, cancellationToken: Token));
        Assert.Equal(0, events[^1].Unloaded.EndedRequests);
        Assert.Equal(0, Loader.Alive);
        Assert.Equal(ModelState.Unloaded, (await server.Client.GetModelAsync("other", Token)).State);

        GenerateRequest request = Prompt();
        request.Model = "other";
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(request, cancellationToken: Token));
        Assert.Equal(StatusCode.FailedPrecondition, refused.StatusCode);
        Assert.Equal("MODEL_UNLOADED", Assert.Single(refused.GetRpcStatus()!.GetDetail<PreconditionFailure>()!.Violations).Type);

        var health = new HealthClient(server.Channel);
        RpcException unknown = await Assert.ThrowsAnyAsync<RpcException>(
            () => health.CheckAsync(new HealthCheckRequest { Service = "other" }, cancellationToken: Token).ResponseAsync);
        Assert.Equal(StatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(
            HealthCheckResponse.Types.ServingStatus.Serving,
            (await health.CheckAsync(new HealthCheckRequest(), cancellationToken: Token)).Status);

        // The folder is remembered with the name.
        await ReadAllAsync(Models(server).Load(new LoadModelRequest { Model = "other" }, cancellationToken: Token));
        Assert.Equal(Path.Combine(Root, "extra"), Loader.LastOrder!.Directory);
    }

    [Fact]
    public async Task Live_requests_finish_before_their_model_goes()
    {
        await using WireServer server = await StartLoadingAsync();
        await LoadAsync(server);
        Loader.LastModel!.StepTime = FakeModel.Slow;
        GenerateRequest request = Prompt(100);
        request.Model = "extra";
        IAsyncEnumerator<GenerationEvent> events = server.Client.GenerateAsync(request, cancellationToken: Token).GetAsyncEnumerator(Token);
        Assert.True(await events.MoveNextAsync());
        Task<List<UnloadModelEvent>> unload = ReadAllAsync(Models(server).Unload(new UnloadModelRequest { Model = "extra", DrainSeconds = 3600 }, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => Loader.LastModel.Engine.Status.Draining, "it is on its way out");
        Assert.True(Loader.LastModel.Engine.IsLive(events.Current.Accepted.Effective.RequestId), "it is on its way out before its request has ended");
        Loader.LastModel.StepTime = TimeSpan.Zero;
        int tokens = 0;
        GenerationEvent last = events.Current;
        while (await events.MoveNextAsync())
        {
            last = events.Current;
            tokens += last.Tokens?.TokenIds.Count ?? 0;
        }

        await events.DisposeAsync();
        Assert.Equal((100, FinishReason.Length), (tokens, last.Finished.Reason));
        Assert.Equal(0, (await unload)[^1].Unloaded.EndedRequests);
        Assert.Equal(0, Loader.Alive);
    }

    [Fact]
    public async Task Requests_that_outlast_their_time_are_ended_by_their_terminal_event()
    {
        await using WireServer server = await StartLoadingAsync();
        await LoadAsync(server);
        await Control(server).PauseAsync(new PauseRequest { Model = "extra" }, cancellationToken: Token);
        GenerateRequest request = Prompt(100);
        request.Model = "extra";
        Task<List<GenerationEvent>> reading = ReadAsync(server.Client.GenerateAsync(request, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => Loader.LastModel!.Engine.Status.Waiting == 1, "admitted");
        List<UnloadModelEvent> events = await ReadAllAsync(
            Models(server).Unload(new UnloadModelRequest { Model = "extra", DrainSeconds = 0.1 }, cancellationToken: Token));
        Assert.Equal(1, events[^1].Unloaded.EndedRequests);
        ModelServeException ended = await Assert.ThrowsAnyAsync<ModelServeException>(() => reading);
        Assert.Equal(ErrorCode.Drained, ended.Code);
        Assert.Equal(0, Loader.Alive);
    }

    [Fact]
    public async Task A_caller_that_leaves_does_not_stop_the_unloading()
    {
        await using WireServer server = await StartLoadingAsync();
        await LoadAsync(server);
        await Control(server).PauseAsync(new PauseRequest { Model = "extra" }, cancellationToken: Token);
        GenerateRequest request = Prompt(50);
        request.Model = "extra";
        Task<List<GenerationEvent>> reading = ReadAsync(server.Client.GenerateAsync(request, cancellationToken: Token));
        await WireServer.EventuallyAsync(() => Loader.LastModel!.Engine.Status.Waiting == 1, "admitted");
        using (AsyncServerStreamingCall<UnloadModelEvent> unload = Models(server).Unload(
            new UnloadModelRequest { Model = "extra", DrainSeconds = 0.2 }, cancellationToken: Token))
        {
            Assert.True(await unload.ResponseStream.MoveNext(Token));
        }

        await Assert.ThrowsAnyAsync<ModelServeException>(() => reading);
        await WireServer.EventuallyAsync(() => Loader.Alive == 0, "given back");
    }

    [Fact]
    public async Task The_last_model_can_go_and_nothing_is_served_then()
    {
        await using WireServer server = await StartLoadingAsync();
        await ReadAllAsync(Models(server).Unload(new UnloadModelRequest { Model = "fake" }, cancellationToken: Token));
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token));
        Assert.Equal(StatusCode.NotFound, refused.StatusCode);
        await FailsAsync(Models(server).Unload(new UnloadModelRequest { Model = "fake" }, cancellationToken: Token), StatusCode.FailedPrecondition);
        await FailsAsync(Models(server).Unload(new UnloadModelRequest(), cancellationToken: Token), StatusCode.InvalidArgument);
        await FailsAsync(
            Models(server).Unload(new UnloadModelRequest { Model = "fake", DrainSeconds = double.NaN }, cancellationToken: Token),
            StatusCode.InvalidArgument);
        await FailsAsync(Models(server).Unload(new UnloadModelRequest { Model = "unheard-of" }, cancellationToken: Token), StatusCode.NotFound);
    }

    [Fact]
    public async Task Thirty_two_callers_who_load_and_unload_at_once_never_break_the_server()
    {
        const int Callers = 32;
        const int Rounds = 16;
        await using WireServer server = await StartLoadingAsync();
        StatusCode[] allowed =
            [StatusCode.AlreadyExists, StatusCode.Unavailable, StatusCode.FailedPrecondition, StatusCode.NotFound];
        int loads = 0;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(
            async () =>
            {
                for (int round = 0; round < Rounds; round++)
                {
                    string name = $"m{(caller + round) % 4}";
                    loads += await TryAsync(Models(server).Load(new LoadModelRequest { Model = name, Directory = "extra" }, cancellationToken: Token));
                    GenerateRequest request = Prompt(3);
                    request.Model = name;
                    try
                    {
                        await server.Client.GenerateOnceAsync(request, cancellationToken: Token);
                    }
                    catch (RpcException exception)
                    {
                        Assert.Contains(exception.StatusCode, allowed);
                    }

                    await TryAsync(Models(server).Unload(new UnloadModelRequest { Model = name, DrainSeconds = 5 }, cancellationToken: Token));
                }
            },
            Token)));
        Assert.True(loads > 0);
        foreach (Model model in await server.Client.ListModelsAsync(Token))
        {
            if (model.Name != "fake" && model.State == ModelState.Serving)
            {
                await ReadAllAsync(Models(server).Unload(new UnloadModelRequest { Model = model.Name }, cancellationToken: Token));
            }
        }

        Assert.Equal(0, Loader.Alive);
        Assert.Equal(16, (await server.Client.GenerateOnceAsync(Model("fake"), cancellationToken: Token)).Output.TokenIds.Count);
        Assert.Equal("ready", await server.Http.GetStringAsync(new Uri("/health/ready", UriKind.Relative), Token));

        async Task<int> TryAsync<T>(AsyncServerStreamingCall<T> call)
        {
            try
            {
                await ReadAllAsync(call);
                return 1;
            }
            catch (RpcException exception)
            {
                Assert.Contains(exception.StatusCode, allowed);
                return 0;
            }
        }
    }

    private static GenerateRequest Model(string name)
    {
        GenerateRequest request = Prompt();
        request.Model = name;
        return request;
    }
}
