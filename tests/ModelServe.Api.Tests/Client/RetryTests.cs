using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Client;

/// <summary>A client tries again when the server says so, and only while nothing of the answer has come.</summary>
public sealed class RetryTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_full_queue_is_tried_again_after_the_time_that_the_server_names()
    {
        using FakeModel fake = Small(TimeSpan.FromMilliseconds(1));
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Task<GenerationResult> waiting = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "waiting");

        RequestRefusedException refused = await Assert.ThrowsAsync<RequestRefusedException>(
            () => server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token));
        Assert.Equal((RefusalReason.QueueFull, StatusCode.ResourceExhausted), (refused.Reason, refused.StatusCode));
        Assert.Equal(TimeSpan.FromMilliseconds(1), refused.RetryAfter);

        var patient = new ModelServeClient(server.Channel, new ModelServeClientOptions { Retry = new RetryOptions { MaxAttempts = int.MaxValue } });
        Task<List<GenerationEvent>> retried = ReadAsync(patient.GenerateAsync(Prompt(4), cancellationToken: Token));
        fake.Release();
        Assert.Equal(GenerationEvent.EventOneofCase.Finished, (await retried)[^1].EventCase);
        await running;
        await waiting;
    }

    [Fact]
    public async Task Attempts_are_counted_and_a_wait_beyond_the_limit_or_the_deadline_is_not_begun()
    {
        using FakeModel fake = Small(TimeSpan.FromMinutes(10));
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Task<GenerationResult> waiting = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "waiting");

        var counted = new AttemptCounter(server.Channel.CreateCallInvoker());
        var impatient = new ModelServeClient(counted, new ModelServeClientOptions { Retry = new RetryOptions { MaxDelay = TimeSpan.FromSeconds(1) } });
        await Assert.ThrowsAsync<RequestRefusedException>(() => impatient.GenerateOnceAsync(Prompt(4), cancellationToken: Token));
        Assert.Equal(1, counted.Calls);

        var hurried = new ModelServeClient(counted, new ModelServeClientOptions { Timeout = TimeSpan.FromMinutes(2), Retry = new RetryOptions { MaxDelay = TimeSpan.FromHours(1) } });
        await Assert.ThrowsAsync<RequestRefusedException>(() => hurried.GenerateOnceAsync(Prompt(4), cancellationToken: Token));
        Assert.Equal(2, counted.Calls);
        fake.Release();
        await running;
        await waiting;
    }

    [Fact]
    public async Task A_draining_server_is_tried_a_few_times_and_then_the_refusal_is_told()
    {
        await using WireServer server = await StartAsync();
        server.Drain.Begin();
        var counted = new AttemptCounter(server.Channel.CreateCallInvoker());
        var client = new ModelServeClient(counted);
        RequestRefusedException refused = await Assert.ThrowsAsync<RequestRefusedException>(
            () => ReadAsync(client.GenerateAsync(Prompt(4), cancellationToken: Token)));
        Assert.Equal(RefusalReason.Draining, refused.Reason);
        Assert.Equal(4, counted.Calls);
    }

    [Fact]
    public async Task What_a_retry_cannot_help_is_sent_once_and_names_field_limit_and_value()
    {
        await using WireServer server = await StartAsync();
        var counted = new AttemptCounter(server.Channel.CreateCallInvoker());
        var client = new ModelServeClient(counted);
        RequestRefusedException refused = await Assert.ThrowsAsync<RequestRefusedException>(
            () => client.GenerateOnceAsync(Prompt(set: options => options.Sampling.TopP = 3), cancellationToken: Token));
        Assert.Equal((RefusalReason.InvalidField, "INVALID_FIELD"), (refused.Reason, refused.ReasonName));
        Assert.Equal(("options.sampling.top_p", "3"), (refused.Field, refused.GivenValue));
        Assert.NotEmpty(refused.Limit);
        Assert.Null(refused.RetryAfter);
        Assert.Equal(1, counted.Calls);
    }

    [Fact]
    public async Task A_request_that_was_accepted_is_never_sent_twice()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Hold();
        var counted = new AttemptCounter(server.Channel.CreateCallInvoker());
        var client = new ModelServeClient(counted);
        Task<List<GenerationEvent>> reading = ReadAsync(client.GenerateAsync(Prompt(400), cancellationToken: Token));
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        server.Drain.Begin();
        server.Drain.EndRequests();
        server.Fake.Release();
        ModelServeException failed = await Assert.ThrowsAsync<ModelServeException>(() => reading);
        Assert.True(failed.IsRetryable);
        Assert.Equal(1, counted.Calls);
    }

    [Fact]
    public async Task A_cancelled_token_ends_the_request_and_is_reported_as_such()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (GenerationEvent message in server.Client.GenerateAsync(Prompt(400), cancellationToken: source.Token))
            {
                await source.CancelAsync();
            }
        });
        await server.QuiesceAsync();
    }

    [Fact]
    public void Every_reason_of_the_server_has_a_name_here() => Assert.Empty(
        Enum.GetNames<ModelServe.Engine.Admission.RejectionReason>().Except(Enum.GetNames<RefusalReason>()));

    [Fact]
    public async Task A_client_with_connections_of_its_own_sends_its_key_and_its_timeout()
    {
        await using WireServer server = await StartAsync();
        var options = new ModelServeClientOptions { ApiKey = "secret", Timeout = TimeSpan.FromMilliseconds(300), Retry = RetryOptions.None };
        using ModelServeClient client = ModelServeClient.Connect(server.GrpcAddress, options);
        server.Fake.StepTime = FakeModel.Slow;
        try
        {
            List<GenerationEvent> events = await ReadAsync(client.GenerateAsync(Prompt(500), cancellationToken: Token));
            Assert.Equal(FinishReason.Deadline, events[^1].Finished.Reason);
        }
        catch (RpcException exception)
        {
            // On a busy machine the client's own clock strikes before the server's last word is there.
            Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        }
    }

    [Fact]
    public void The_wait_grows_where_the_server_names_none()
    {
        var retry = new RetryOptions { MaxAttempts = 10 };
        RpcException refusal = new(new Status(StatusCode.Unavailable, ""), new Metadata { { "grpc-retry-pushback-ms", "0" } });
        TimeSpan?[] waits = [.. Enumerable.Range(1, 3).Select(attempt => retry.DelayAfter(refusal, attempt, null))];
        Assert.Equal([TimeSpan.FromMilliseconds(25), TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(100)], waits.Select(wait => wait!.Value));
        Assert.Null(retry.DelayAfter(refusal, 10, null));
        foreach (string text in new[] { "-1", "x", "", "99999999999" })
        {
            RpcException never = new(new Status(StatusCode.Unavailable, ""), new Metadata { { "grpc-retry-pushback-ms", text } });
            Assert.Null(retry.DelayAfter(never, 1, null));
        }
    }

    private static FakeModel Small(TimeSpan retryAfter) =>
        new(slots: 1, options: new EngineOptions { MaxQueuedRequests = 1, QueueRetryAfter = retryAfter });

    /// <summary>Counts the calls that leave the client.</summary>
    private sealed class AttemptCounter(CallInvoker inner) : CallInvoker
    {
        private int _calls;

        public int Calls => _calls;

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        {
            Interlocked.Increment(ref _calls);
            return inner.AsyncUnaryCall(method, host, options, request);
        }

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        {
            Interlocked.Increment(ref _calls);
            return inner.AsyncServerStreamingCall(method, host, options, request);
        }

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            inner.BlockingUnaryCall(method, host, options, request);

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            inner.AsyncClientStreamingCall(method, host, options);

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            inner.AsyncDuplexStreamingCall(method, host, options);
    }
}
