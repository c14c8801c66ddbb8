using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Health;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Fault 18: a step that never returns.</summary>
public sealed class WatchdogTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private static ApiOptions Strict => new()
    {
        StallLimit = TimeSpan.FromMilliseconds(50),
        StepLimit = TimeSpan.FromMilliseconds(300),
    };

    [Fact]
    public async Task A_step_that_never_returns_ends_every_stream_once_and_the_model_serves_no_more()
    {
        var clock = new SteppedClock();
        using var other = new FakeModel(time: clock);
        using var fake = new FakeModel(slots: 2, time: clock);
        await using WireServer server = await StartAsync(clock, Strict, fake, other);
        server.Fake.Hold();
        Task<List<GenerationEvent>>[] streams = [.. Enumerable.Range(0, 5).Select(_ => StreamAsync(server))];
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 5 && server.Status.Running > 0, "they run or wait");
        await clock.AdvanceUntilAsync(Strict.StepLimit / 10, () => server.Status.Failure is not null, "the step was given up");
        foreach (List<GenerationEvent> events in await Task.WhenAll(streams))
        {
            Error error = Assert.Single(events, message => message.EventCase == GenerationEvent.EventOneofCase.Error).Error;
            Assert.Equal((ErrorCode.EngineFailed, true), (error.Code, error.Retryable));
            Assert.DoesNotContain(events, message => message.EventCase == GenerationEvent.EventOneofCase.Finished);
        }

        Assert.Equal(WireServer.Model, await server.Services.GetRequiredService<EngineFailure>().WaitAsync(Token));
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Named(WireServer.Model), cancellationToken: Token));
        Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
        Assert.Equal(ServingStatus.NotServing, await HealthAsync(server, WireServer.Model));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/progress"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, $"/health/ready/{WireServer.Model}"));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/live"));

        // The late step comes back: nothing of it is seen, the model stays down, and its neighbour never noticed.
        server.Fake.Release();
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/ready/other"));
        Assert.Equal(16, (await server.Client.GenerateOnceAsync(Named("other"), cancellationToken: Token)).Output.TokenIds.Count);
        Assert.Equal(ServingStatus.NotServing, await HealthAsync(server, WireServer.Model));
        await server.QuiesceAsync();
        Tally.Fault(18, "a step that never returns", 7, 1, 6);
    }

    [Fact]
    public async Task A_step_that_is_only_slow_turns_readiness_and_back()
    {
        var clock = new SteppedClock();
        using var fake = new FakeModel(time: clock);
        await using WireServer server = await StartAsync(clock, Strict with { StepLimit = Timeout.InfiniteTimeSpan }, fake);
        server.Fake.Hold();
        Task<GenerationResult> call = server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "it runs");
        clock.Advance(Strict.StallLimit);
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/ready"));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/ready"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/progress"));
        server.Fake.Release();
        Assert.Equal(16, (await call).Output.TokenIds.Count);
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/ready"));
        Assert.False(server.Services.GetRequiredService<EngineFailure>().HasHappened);
    }

    [Fact]
    public async Task An_engine_that_was_told_to_pause_does_not_count_as_standing_still()
    {
        var clock = new SteppedClock();
        using var fake = new FakeModel(context: 4096, time: clock) { StepTime = FakeModel.Slow };
        await using WireServer server = await StartAsync(clock, Strict, fake);
        Task<GenerationResult> call = server.Client.GenerateOnceAsync(Prompt(500), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens > 0, "it runs");
        await fake.Engine.PauseAsync(Engine.Running.PauseMode.Keep, Token);
        long steps = server.Status.Steps;
        clock.Advance(2 * Strict.StepLimit);
        Assert.Equal((1, steps), (server.Status.Running, server.Status.Steps));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/progress"));
        Assert.Null(server.Status.Failure);
        fake.StepTime = TimeSpan.Zero;
        await fake.Engine.PauseAsync(Engine.Running.PauseMode.None, Token);
        Assert.Equal(500, (await call).Output.TokenIds.Count);
    }

    [Fact]
    public async Task Readiness_of_an_unknown_model_is_not_found()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal(HttpStatusCode.NotFound, await HttpAsync(server, "/health/ready/nothing"));
    }

    private static GenerateRequest Named(string model)
    {
        GenerateRequest request = Prompt();
        request.Model = model;
        return request;
    }

    private static async Task<List<GenerationEvent>> StreamAsync(WireServer server)
    {
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Named(WireServer.Model), cancellationToken: Token);
        return await ReadAsync(call.ResponseStream.ReadAllAsync(Token));
    }

    private static async Task<ServingStatus> HealthAsync(WireServer server, string service) =>
        (await new Grpc.Health.V1.Health.HealthClient(server.Channel)
            .CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Token)).Status;

    private static async Task<HttpStatusCode> HttpAsync(WireServer server, string path)
    {
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), Token);
        return response.StatusCode;
    }
}
