using System.Net;
using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Api.Tests.Wire;

/// <summary>What clients are told when the server cannot take more, is on its way down, or has failed.</summary>
public sealed class OverloadTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_full_queue_says_when_to_come_back()
    {
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 1 });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        using AsyncServerStreamingCall<GenerationEvent> running = server.Inference.Generate(Prompt(), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        using AsyncServerStreamingCall<GenerationEvent> waiting = server.Inference.Generate(Prompt(), cancellationToken: Token);
        Assert.True(await waiting.ResponseStream.MoveNext(Token));

        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token));
        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
        Assert.Equal("1000", exception.Trailers.GetValue("grpc-retry-pushback-ms"));
        Assert.Equal(1, exception.GetRpcStatus()!.GetDetail<RetryInfo>()!.RetryDelay.Seconds);
        Assert.Equal("QUEUE_FULL", exception.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
    }

    [Fact]
    public async Task Too_many_waiting_prompt_tokens_say_so()
    {
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedTokens = 20 });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        using AsyncServerStreamingCall<GenerationEvent> running = server.Inference.Generate(Prompt(), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        using AsyncServerStreamingCall<GenerationEvent> waiting = server.Inference.Generate(Prompt(), cancellationToken: Token);
        Assert.True(await waiting.ResponseStream.MoveNext(Token));

        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Prompt(text: new string('p', 30)), cancellationToken: Token));
        Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
        Assert.Equal("QUEUED_TOKENS_FULL", exception.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
    }

    [Fact]
    public async Task Of_many_at_once_never_more_than_the_limit_wait()
    {
        using var fake = new FakeModel(slots: 2, options: new EngineOptions { MaxQueuedRequests = 5 });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        Task<GenerationResult>[] calls =
        [
            .. Enumerable.Range(0, 64).Select(_ => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token)),
        ];
        await WireServer.EventuallyAsync(() => calls.Count(call => call.IsCompleted) >= 64 - 7 - 5, "the rest was refused");
        Assert.True(server.Status.Waiting + server.Status.Running <= 7 + 5);
        fake.Release();
        int refused = 0;
        foreach (Task<GenerationResult> call in calls)
        {
            try
            {
                await call;
            }
            catch (RpcException exception)
            {
                Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
                refused++;
            }
        }

        Assert.InRange(refused, 64 - 7 - 5, 64 - 5);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_draining_server_refuses_new_requests_and_finishes_old_ones()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Hold();
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(8), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 1, "one runs");
        server.Drain.Begin();

        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token));
        Assert.Equal(StatusCode.Unavailable, exception.StatusCode);
        Assert.Equal("0", exception.Trailers.GetValue("grpc-retry-pushback-ms"));
        Assert.Equal(ServingStatus.NotServing, await HealthAsync(server, string.Empty));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/ready"));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/live"));
        Assert.False(await server.Drain.WaitForRequestsAsync(TimeSpan.FromMilliseconds(50), Token));

        server.Fake.Release();
        Assert.True(await server.Drain.WaitForRequestsAsync(TimeSpan.FromSeconds(60), Token));
        Assert.Equal(8, (await running).Output.TokenIds.Count);
    }

    [Fact]
    public async Task Requests_that_a_drain_cuts_off_get_their_terminal_event()
    {
        using var fake = new FakeModel(context: 4096) { StepTime = FakeModel.Slow };
        await using WireServer server = await StartAsync(null, fake);
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(4000), cancellationToken: Token);
        Assert.True(await call.ResponseStream.MoveNext(Token));
        server.Drain.Begin();
        Assert.Equal(1, server.Drain.EndRequests());
        GenerationEvent? last = null;
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
        {
            last = message;
        }

        Assert.Equal(ErrorCode.Drained, last!.Error.Code);
        Assert.True(last.Error.Retryable);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_failed_engine_ends_every_stream_once_and_turns_health()
    {
        await using WireServer server = await StartAsync();
        using AsyncServerStreamingCall<HealthCheckResponse> watch = new Grpc.Health.V1.Health.HealthClient(server.Channel)
            .Watch(new HealthCheckRequest { Service = WireServer.Model }, cancellationToken: Token);
        Assert.True(await watch.ResponseStream.MoveNext(Token));
        Assert.Equal(ServingStatus.Serving, watch.ResponseStream.Current.Status);
        server.Fake.Hold();
        Task<List<Error>>[] streams = [.. Enumerable.Range(0, 5).Select(_ => ErrorsAsync(server))];
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 5, "five run");
        server.Fake.Failure = "an illegal memory access at /secret/path.cu";
        server.Fake.Release();

        foreach (Task<List<Error>> stream in streams)
        {
            Error error = Assert.Single(await stream);
            Assert.Equal(ErrorCode.EngineFailed, error.Code);
            Assert.DoesNotContain("/", error.Message, StringComparison.Ordinal);
        }

        Assert.True(await watch.ResponseStream.MoveNext(Token));
        Assert.Equal(ServingStatus.NotServing, watch.ResponseStream.Current.Status);
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token));
        Assert.Equal(StatusCode.Unavailable, exception.StatusCode);
        Assert.DoesNotContain("secret", exception.ToString(), StringComparison.Ordinal);
        Assert.Null(exception.Trailers.GetValue("grpc-retry-pushback-ms"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await HttpAsync(server, "/health/progress"));
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health/live"));
        Assert.Equal(ModelState.Failed, (await server.Client.GetModelAsync(cancellationToken: Token)).State);
    }

    [Fact]
    public async Task A_request_whose_logits_were_not_finite_fails_alone()
    {
        await using WireServer server = await StartAsync();
        server.Fake.ForcedToken = StepResult.Failed;
        Error error = Assert.Single(await ErrorsAsync(server));
        Assert.Equal(ErrorCode.Internal, error.Code);
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(
            () => server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token));
        Assert.Equal(StatusCode.Internal, exception.StatusCode);

        server.Fake.ForcedToken = null;
        Assert.Equal(16, (await server.Client.GenerateOnceAsync(Prompt(), cancellationToken: Token)).Output.TokenIds.Count);
        Assert.Equal(ServingStatus.Serving, await HealthAsync(server, WireServer.Model));
    }

    [Fact]
    public async Task Health_knows_the_server_and_each_model_and_nothing_else()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal(ServingStatus.Serving, await HealthAsync(server, string.Empty));
        Assert.Equal(ServingStatus.Serving, await HealthAsync(server, WireServer.Model));
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(() => HealthAsync(server, "nothing"));
        Assert.Equal(StatusCode.NotFound, exception.StatusCode);
        Assert.Equal(HttpStatusCode.OK, await HttpAsync(server, "/health"));
    }

    private static async Task<ServingStatus> HealthAsync(WireServer server, string service) =>
        (await new Grpc.Health.V1.Health.HealthClient(server.Channel)
            .CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Token)).Status;

    private static async Task<HttpStatusCode> HttpAsync(WireServer server, string path)
    {
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), Token);
        return response.StatusCode;
    }

    private static async Task<List<Error>> ErrorsAsync(WireServer server)
    {
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(), cancellationToken: Token);
        var errors = new List<Error>();
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
        {
            if (message.EventCase == GenerationEvent.EventOneofCase.Error)
            {
                errors.Add(message.Error);
            }

            Assert.NotEqual(GenerationEvent.EventOneofCase.Finished, message.EventCase);
        }

        return errors;
    }
}
