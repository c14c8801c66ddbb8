using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Tests.Faults;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Api.Tests.Replicas;

/// <summary>A model with several engines as its clients and its operators see it.</summary>
public sealed class ReplicaWireTests(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    private static readonly string[] Engines = ["0", "1"];

    [Fact]
    public async Task Streams_are_spread_and_each_engine_has_its_own_series()
    {
        using var second = new FakeModel();
        using var first = new FakeModel();
        await using WireServer server = await WireServer.StartReplicasAsync(Checkpoint, null, first, second);
        await TogetherAsync(server, Enumerable.Range(0, 40).Select(_ => Prompt(20)), first, second);
        await QuietAsync(server);
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        foreach (string engine in Engines)
        {
            Assert.InRange(Of(page, "vllm:generation_tokens_total", engine), 20, 780);
            Assert.Equal(1, Of(page, "vllm:engine_healthy", engine));
            Assert.Equal(Of(page, "vllm:generation_tokens_total", engine), Of(page, "modelserve:tokens_sent_total", engine));
        }

        Assert.Equal(800, Sum(page, "vllm:generation_tokens_total"));
        Assert.Equal(40, Sum(page, "vllm:e2e_request_latency_seconds_count"));
        Assert.Equal(40, Sum(page, "gen_ai_server_request_duration_seconds_count"));
        // No series twice, which a scraper would refuse.
        string[] series = [.. page.Split('\n').Where(line => line.Length > 0 && line[0] != '#').Select(line => line[..line.LastIndexOf(' ')])];
        Assert.Equal(series.Length, series.Distinct(StringComparer.Ordinal).Count());
        Model model = Assert.Single(await server.Client.ListModelsAsync(Token));
        Assert.Equal((2, 16, 512, 800L), (model.Capacity.Engines, model.Capacity.MaxRunning, model.Capacity.Blocks, model.Load.GeneratedTokens));
    }

    [Fact]
    public async Task One_lost_engine_ends_its_streams_once_and_the_others_go_on_serving()
    {
        using var lost = new FakeModel { StepTime = FakeModel.Slow };
        using var healthy = new FakeModel { StepTime = FakeModel.Slow };
        await using WireServer server = await WireServer.StartReplicasAsync(Checkpoint, null, healthy, lost);
        Task<StreamEnd>[] streams = [.. Enumerable.Range(0, 10).Select(_ => OneAsync(server, Prompt(400)))];
        await WireServer.EventuallyAsync(() => lost.Engine.Status.Running == 5 && healthy.Engine.Status.Running == 5, "all run");
        lost.Failure = "the device fell off the bus";
        healthy.StepTime = TimeSpan.Zero;
        StreamEnd[] ends = await Task.WhenAll(streams);
        Assert.Equal(5, ends.Count(end => end.Error == ErrorCode.EngineFailed));
        Assert.Equal(5, ends.Count(end => end.Reason == FinishReason.Length));

        // Ready, because requests are served; not in good health, because a restart would mend something.
        Assert.Equal(ServingStatus.Serving, await HealthAsync(server));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/ready"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/progress"));
        Assert.False(server.Services.GetRequiredService<EngineFailure>().HasHappened);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => OneAsync(server, Prompt(20)))), end => Assert.Equal(FinishReason.Length, end.Reason));
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal((1, 0), (Of(page, "vllm:engine_healthy", "0"), Of(page, "vllm:engine_healthy", "1")));

        // The last one takes the model with it.
        healthy.Failure = "this one too";
        Assert.Equal(ErrorCode.EngineFailed, (await OneAsync(server, Prompt(20))).Error);
        Assert.Equal(WireServer.Model, await server.Services.GetRequiredService<EngineFailure>().WaitAsync(Token));
        Assert.Equal(ServingStatus.NotServing, await HealthAsync(server));
        Assert.Equal(StatusCode.Unavailable, (await OneAsync(server, Prompt(20))).Status);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_step_that_never_returns_costs_its_own_engine_only()
    {
        var clock = new SteppedClock();
        using var stuck = new FakeModel(time: clock);
        using var healthy = new FakeModel(time: clock);
        var strict = new ApiOptions { StallLimit = TimeSpan.FromMilliseconds(50), StepLimit = TimeSpan.FromMilliseconds(300) };
        await using WireServer server = await WireServer.StartReplicasAsync(
            Checkpoint, strict, services => services.AddSingleton<TimeProvider>(clock), healthy, stuck);
        stuck.Hold();
        Task<StreamEnd>[] streams = [.. Enumerable.Range(0, 8).Select(_ => OneAsync(server, Prompt(20)))];
        await WireServer.EventuallyAsync(
            () => stuck.Engine.Status.Running > 0 && streams.Count(stream => stream.IsCompleted) + stuck.Engine.Status.Running + stuck.Engine.Status.Waiting == 8,
            "the healthy one has answered");
        await clock.AdvanceUntilAsync(strict.StepLimit / 10, () => stuck.Engine.Status.Failure is not null, "the step was given up");
        StreamEnd[] ends = await Task.WhenAll(streams);
        Assert.InRange(ends.Count(end => end.Error == ErrorCode.EngineFailed), 1, 7);
        Assert.All(ends, end => Assert.True(end.Error == ErrorCode.EngineFailed || end.Reason == FinishReason.Length, end.ToString()));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/ready"));
        stuck.Release();
        Assert.Equal(FinishReason.Length, (await OneAsync(server, Prompt(20))).Reason);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Each_engine_has_its_own_key_value_events()
    {
        using var second = new FakeModel();
        using var first = new FakeModel();
        await using WireServer server = await WireServer.StartReplicasAsync(Checkpoint, null, first, second);
        await TogetherAsync(server, Enumerable.Range(0, 8).Select(i => Prompt(20, text: new string((char)('a' + i), 40))), first, second);
        var events = new Events.EventsClient(server.Channel);
        List<ulong> epochs = [];
        for (int engine = 0; engine < 2; engine++)
        {
            using AsyncServerStreamingCall<KvEventBatch> call = events.SubscribeKvEvents(new SubscribeKvEventsRequest { Engine = engine, AfterSequence = 0 }, cancellationToken: Token);
            Assert.True(await call.ResponseStream.MoveNext(Token));
            Assert.Equal(engine, call.ResponseStream.Current.Engine);
            Assert.InRange(call.ResponseStream.Current.LastSequence, 1, 1000);
            epochs.Add(call.ResponseStream.Current.Epoch);
        }

        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.Contains("engine: 0..1; got none", await RefusedAsync(events, new SubscribeKvEventsRequest()), StringComparison.Ordinal);
        Assert.Contains("engine: 0..1; got 2", await RefusedAsync(events, new SubscribeKvEventsRequest { Engine = 2 }), StringComparison.Ordinal);
        Assert.Contains("engine: 0..1; got -1", await RefusedAsync(events, new SubscribeKvEventsRequest { Engine = -1 }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unloading_drains_every_engine_and_an_abort_finds_the_request_on_any()
    {
        using var second = new FakeModel { StepTime = FakeModel.Slow };
        using var first = new FakeModel { StepTime = FakeModel.Slow };
        await using WireServer server = await WireServer.StartReplicasAsync(Checkpoint, null, first, second);
        Task<StreamEnd>[] streams = [.. Enumerable.Range(0, 4).Select(i => OneAsync(server, Prompt(400, options => options.RequestId = $"mine-{i}")))];
        await WireServer.EventuallyAsync(() => first.Engine.Status.Running == 2 && second.Engine.Status.Running == 2, "all run");
        var control = new Control.ControlClient(server.Channel);
        for (int i = 0; i < 4; i++)
        {
            await control.AbortAsync(new AbortRequest { RequestId = $"mine-{i}" }, cancellationToken: Token);
        }

        Assert.All(await Task.WhenAll(streams), end => Assert.Equal(FinishReason.Cancelled, end.Reason));
        server.Services.GetRequiredService<ModelCatalog>().Models[0].Engine.BeginDrain();
        Assert.True(first.Engine.Status.Draining && second.Engine.Status.Draining);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/ready"));
    }

    /// <summary>Lets no step complete before all requests are in, and reads them to their ends.</summary>
    private static async Task TogetherAsync(WireServer server, IEnumerable<GenerateRequest> requests, params FakeModel[] engines)
    {
        Array.ForEach(engines, engine => engine.Hold());
        Task<StreamEnd>[] all = [.. requests.Select(request => OneAsync(server, request))];
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == all.Length, "all are in");
        Array.ForEach(engines, engine => engine.Release());
        await Task.WhenAll(all);
    }

    private static double Of(string page, string name, string engine) =>
        Sum(string.Join('\n', page.Split('\n').Where(line => line.Contains($"engine=\"{engine}\"", StringComparison.Ordinal))), name);

    private static async Task<string> RefusedAsync(Events.EventsClient events, SubscribeKvEventsRequest request)
    {
        using AsyncServerStreamingCall<KvEventBatch> call = events.SubscribeKvEvents(request, cancellationToken: Token);
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => call.ResponseStream.MoveNext(Token));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        return refused.Status.Detail;
    }

    private static async Task<ServingStatus> HealthAsync(WireServer server) =>
        (await new Grpc.Health.V1.Health.HealthClient(server.Channel).CheckAsync(new HealthCheckRequest { Service = WireServer.Model }, cancellationToken: Token)).Status;

    private static async Task<HttpStatusCode> HttpAsync(WireServer server, string path)
    {
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), Token);
        return response.StatusCode;
    }
}
