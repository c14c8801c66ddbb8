using Grpc.Core;
using Grpc.Health.V1;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using ModelServe.V1;
using Xunit;
using HealthClient = Grpc.Health.V1.Health.HealthClient;

namespace ModelServe.Api.Tests.Contract;

/// <summary>An operator's orders over the wire.</summary>
public sealed class ControlTests(SyntheticCheckpoint checkpoint) : ContractTest(checkpoint)
{
    [Fact]
    public async Task A_paused_model_keeps_running_requests_frozen_until_it_is_resumed()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(300), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        PauseResponse paused = await Control(server).PauseAsync(new PauseRequest(), cancellationToken: Token);
        Assert.Equal(1, paused.Running);
        long steps = server.Status.Steps;
        Task<GenerationResult> waiting = server.Client.GenerateOnceAsync(Prompt(3, text: "late"), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "waiting");
        Assert.Equal(steps, server.Status.Steps);
        Assert.Equal(ModelState.Paused, (await server.Client.GetModelAsync(cancellationToken: Token)).State);
        Assert.Equal(
            HealthCheckResponse.Types.ServingStatus.NotServing,
            await HealthAsync(server));
        Assert.Equal("live", await server.Http.GetStringAsync(new Uri("/health/live", UriKind.Relative), Token));

        server.Fake.StepTime = TimeSpan.Zero;
        await Control(server).ResumeAsync(new ResumeRequest(), cancellationToken: Token);
        Assert.Equal(300, (await running).Output.TokenIds.Count);
        Assert.Equal(3, (await waiting).Output.TokenIds.Count);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_pause_that_waits_answers_when_the_last_running_request_has_ended()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(400), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Task<PauseResponse> paused = Control(server).PauseAsync(new PauseRequest { Mode = PauseMode.Wait }, cancellationToken: Token).ResponseAsync;
        await WireServer.EventuallyAsync(() => server.Status.Pause == ModelServe.Engine.Running.PauseMode.Wait, "ordered");
        Assert.Equal((false, 1), (paused.IsCompleted, server.Status.Running));
        server.Fake.StepTime = TimeSpan.Zero;
        Assert.Equal(0, (await paused).Running);
        Assert.Equal(400, (await running).Output.TokenIds.Count);
    }

    [Fact]
    public async Task A_pause_that_is_resumed_meanwhile_is_aborted()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(400), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Task<PauseResponse> pause = Control(server).PauseAsync(new PauseRequest { Mode = PauseMode.Wait }, cancellationToken: Token).ResponseAsync;
        await WireServer.EventuallyAsync(() => server.Status.Pause != ModelServe.Engine.Running.PauseMode.None, "ordered");
        await Control(server).ResumeAsync(new ResumeRequest(), cancellationToken: Token);
        Assert.Equal(StatusCode.Aborted, (await Assert.ThrowsAnyAsync<RpcException>(() => pause)).StatusCode);
        server.Fake.StepTime = TimeSpan.Zero;
        await running;
    }

    [Fact]
    public async Task Bad_orders_are_refused_by_field()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal(StatusCode.InvalidArgument, await CodeAsync(() => Control(server).PauseAsync(new PauseRequest { Mode = (PauseMode)9 }, cancellationToken: Token)));
        Assert.Equal(StatusCode.InvalidArgument, await CodeAsync(() => Control(server).PauseAsync(new PauseRequest { Mode = PauseMode.Unspecified }, cancellationToken: Token)));
        Assert.Equal(StatusCode.NotFound, await CodeAsync(() => Control(server).PauseAsync(new PauseRequest { Model = "none" }, cancellationToken: Token)));
        Assert.Equal(StatusCode.NotFound, await CodeAsync(() => Control(server).ResumeAsync(new ResumeRequest { Model = "none" }, cancellationToken: Token)));
        Assert.Equal(StatusCode.NotFound, await CodeAsync(() => Control(server).FlushPrefixCacheAsync(new FlushPrefixCacheRequest { Model = "none" }, cancellationToken: Token)));
        foreach (double seconds in new[] { -1, double.NaN, double.PositiveInfinity, 3601 })
        {
            Assert.Equal(StatusCode.InvalidArgument, await CodeAsync(() => Control(server).DrainAsync(new DrainRequest { WaitSeconds = seconds }, cancellationToken: Token)));
        }

        Assert.False(server.Drain.IsDraining);
    }

    [Fact]
    public async Task A_flush_makes_the_next_equal_prompt_cold()
    {
        await using WireServer server = await StartAsync();
        GenerateRequest request = Prompt(2, text: new string('p', 64));
        Assert.Equal(0, await CachedAsync());
        Assert.Equal(64, await CachedAsync());
        FlushPrefixCacheResponse flushed = await Control(server).FlushPrefixCacheAsync(new FlushPrefixCacheRequest(), cancellationToken: Token);
        Assert.Equal(4, flushed.Blocks);
        Assert.Equal(0, await CachedAsync());

        async Task<int> CachedAsync() =>
            (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Finished.Usage.CachedPromptTokens;
    }

    [Fact]
    public async Task A_drain_refuses_what_is_new_and_ends_the_rest_when_told()
    {
        var clock = new SteppedClock();
        using var fake = new FakeModel(time: clock) { StepTime = FakeModel.Slow };
        await using WireServer server = await StartAsync(clock, null, fake);
        Task<List<GenerationEvent>> running = ReadAsync(server.Client.GenerateAsync(Prompt(400), cancellationToken: Token));
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Assert.Equal(1, (await Control(server).DrainAsync(new DrainRequest(), cancellationToken: Token)).LiveRequests);
        Assert.Equal(StatusCode.Unavailable, await CodeAsync(() => server.Inference.GenerateUnaryAsync(Prompt(), cancellationToken: Token)));
        Assert.True((await server.Client.ServerInfoAsync(Token)).Draining);
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, await HealthAsync(server));
        var wait = TimeSpan.FromSeconds(0.05);
        Task<DrainResponse> ended = Control(server).DrainAsync(new DrainRequest { WaitSeconds = 0.05, EndRequests = true }, cancellationToken: Token).ResponseAsync;
        await WireServer.EventuallyAsync(() => clock.Pending(wait) == 1, "it waits for the requests");
        Assert.Equal((false, 1), (running.IsCompleted, server.Drain.LiveRequestCount));
        await clock.PassAsync(wait, () => running.IsCompleted, "it ended them");
        Assert.Equal(0, (await ended).LiveRequests);
        ModelServeException drained = await Assert.ThrowsAnyAsync<ModelServeException>(() => running);
        Assert.Equal(ErrorCode.Drained, drained.Code);
    }

    private static async Task<HealthCheckResponse.Types.ServingStatus> HealthAsync(WireServer server)
    {
        var health = new HealthClient(server.Channel);
        using AsyncServerStreamingCall<HealthCheckResponse> watch = health.Watch(new HealthCheckRequest(), cancellationToken: Token);
        while (await watch.ResponseStream.MoveNext(Token))
        {
            if (watch.ResponseStream.Current.Status != HealthCheckResponse.Types.ServingStatus.Serving)
            {
                break;
            }
        }

        return watch.ResponseStream.Current.Status;
    }

    private static async Task<StatusCode> CodeAsync<T>(Func<AsyncUnaryCall<T>> call) =>
        (await Assert.ThrowsAnyAsync<RpcException>(() => call().ResponseAsync)).StatusCode;
}
