using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Endings that come from outside the model: cancel, abort, deadline, a reader that does not read.</summary>
public sealed class EndingTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const int Endless = 4000;

    /// <summary>Of a deadline by a clock that the test moves: no write is parked too long by it.</summary>
    private static readonly ApiOptions WideMargin = new()
    {
        DeadlineMargin = TimeSpan.FromSeconds(3),
        Limits = new RequestLimits { StalledWrite = TimeSpan.FromHours(1) },
    };

    [Fact]
    public async Task A_client_that_cancels_gives_its_blocks_back()
    {
        using var fake = LongModel();
        await using WireServer server = await StartAsync(null, fake);
        using var leaving = new CancellationTokenSource();
        using AsyncServerStreamingCall<GenerationEvent> call =
            server.Inference.Generate(Prompt(Endless), cancellationToken: leaving.Token);
        await ReadOneTokenAsync(call);
        await leaving.CancelAsync();

        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(() => DrainAsync(call));
        Assert.Equal(StatusCode.Cancelled, exception.StatusCode);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_client_that_cancels_while_queued_gives_its_place_back()
    {
        using var fake = LongModel(slots: 1);
        await using WireServer server = await StartAsync(null, fake);
        using AsyncServerStreamingCall<GenerationEvent> running = server.Inference.Generate(Prompt(Endless), cancellationToken: Token);
        await ReadOneTokenAsync(running);
        using var leaving = new CancellationTokenSource();
        using AsyncServerStreamingCall<GenerationEvent> queued =
            server.Inference.Generate(Prompt(Endless), cancellationToken: leaving.Token);
        Assert.True(await queued.ResponseStream.MoveNext(Token));
        Assert.Equal(1, server.Status.Waiting);
        await leaving.CancelAsync();
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 0, "the queued request is gone");
        Assert.Equal(1, server.Status.Running);
    }

    [Fact]
    public async Task A_connection_that_breaks_gives_all_its_blocks_back()
    {
        using var fake = LongModel();
        await using WireServer server = await StartAsync(null, fake);
        using (var channel = Grpc.Net.Client.GrpcChannel.ForAddress(server.GrpcAddress))
        {
            var client = new Inference.InferenceClient(channel);
            for (int i = 0; i < 6; i++)
            {
                await ReadOneTokenAsync(client.Generate(Prompt(Endless, text: $"prompt {i}"), cancellationToken: Token));
            }

            Assert.Equal(6, server.Status.Running);
        }

        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Cancelling_again_and_again_leaks_nothing()
    {
        using var fake = LongModel();
        fake.StepTime = TimeSpan.FromMilliseconds(1);
        await using WireServer server = await StartAsync(null, fake);
        var random = new Random(7);
        int[] reads = [.. Enumerable.Range(0, 200).Select(_ => random.Next(6))];
        await Parallel.ForEachAsync(reads, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Token }, async (count, _) =>
        {
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(Endless), cancellationToken: Token);
            for (int i = 0; i < count && await call.ResponseStream.MoveNext(Token); i++)
            {
            }
        });
        await server.QuiesceAsync();
        // A call whose client has left may reach the server only now.
        await WireServer.EventuallyAsync(
            async () =>
            {
                string metrics = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
                return MetricsTests.Value(metrics, "modelserve:streams_created_total").Equals(MetricsTests.Value(metrics, "modelserve:streams_released_total"));
            },
            "as many released as created");
    }

    [Fact]
    public async Task An_aborted_request_ends_with_its_own_ending()
    {
        using var fake = LongModel();
        await using WireServer server = await StartAsync(null, fake);
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(
            Prompt(Endless, options => options.RequestId = "to-abort"), cancellationToken: Token);
        await ReadOneTokenAsync(call);
        await server.Client.AbortAsync("to-abort", cancellationToken: Token);

        Finished finished = (await DrainAsync(call)).Finished;
        Assert.Equal(FinishReason.Cancelled, finished.Reason);
        RpcException gone = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.AbortAsync("to-abort", cancellationToken: Token));
        Assert.Equal(StatusCode.NotFound, gone.StatusCode);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_deadline_while_running_ends_with_what_was_generated()
    {
        var clock = new SteppedClock();
        using var fake = LongModel(time: clock);
        await using WireServer server = await StartAsync(clock, WideMargin, fake);
        Task<List<GenerationEvent>> reading = ReadAsync(server.Client.GenerateAsync(Prompt(Endless), In(100), Token));
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens > 0, "it runs");
        clock.Advance(TimeSpan.FromSeconds(97));
        List<GenerationEvent> events = await reading;
        Assert.Equal(FinishReason.Deadline, events[^1].Finished.Reason);
        Assert.NotEmpty(IdsOf(events));
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_deadline_while_queued_ends_without_any_work()
    {
        var clock = new SteppedClock();
        using var fake = LongModel(slots: 1, time: clock);
        await using WireServer server = await StartAsync(clock, WideMargin, fake);
        using AsyncServerStreamingCall<GenerationEvent> running = server.Inference.Generate(Prompt(Endless), cancellationToken: Token);
        await ReadOneTokenAsync(running);
        Task<List<GenerationEvent>> reading = ReadAsync(server.Client.GenerateAsync(Prompt(5), In(100), Token));
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "it waits");
        clock.Advance(TimeSpan.FromSeconds(97));
        List<GenerationEvent> events = await reading;
        Assert.Equal(FinishReason.Deadline, events[^1].Finished.Reason);
        Assert.Empty(IdsOf(events));
        Assert.False(events[^1].Finished.Timings.HasQueueSeconds);
    }

    [Fact]
    public async Task The_servers_own_maximum_holds_for_calls_without_a_deadline()
    {
        using var fake = LongModel();
        var options = new ApiOptions { Limits = new RequestLimits { Duration = TimeSpan.FromMilliseconds(200) } };
        await using WireServer server = await StartAsync(options, fake);
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(Prompt(Endless), cancellationToken: Token));
        Assert.Equal(FinishReason.Deadline, events[^1].Finished.Reason);
    }

    [Fact]
    public async Task A_reader_that_stops_reading_is_ended_and_harms_nobody()
    {
        var limit = TimeSpan.FromMilliseconds(300);
        var clock = new SteppedClock();
        using var fake = LongModel();
        var options = new ApiOptions { Limits = new RequestLimits { StalledWrite = limit } };
        await using WireServer server = await StartAsync(clock, options, fake);
        AsyncServerStreamingCall<GenerationEvent>[] stalled =
        [
            .. Enumerable.Range(0, 4).Select(_ => server.Inference.Generate(
                Prompt(Endless, set => set.Sampling.TopLogprobs = 20), cancellationToken: Token)),
        ];
        await WireServer.EventuallyAsync(() => server.Status.Running == 4, "all four run");
        fake.StepTime = TimeSpan.Zero;
        GenerationResult neighbour = await server.Client.GenerateOnceAsync(Prompt(200), cancellationToken: Token);
        Assert.Equal(200, neighbour.Output.TokenIds.Count);
        // Their time passes only now; the neighbour never came near it.
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 4, "only the four are left");
        await clock.PassAsync(limit, () => server.Drain.LiveRequestCount == 0, "all four are cut off");
        await server.QuiesceAsync();
        foreach (AsyncServerStreamingCall<GenerationEvent> call in stalled)
        {
            RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(() => DrainAsync(call));
            Assert.Equal(StatusCode.ResourceExhausted, exception.StatusCode);
            call.Dispose();
        }

        string metrics = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal(4, MetricsTests.Value(metrics, "modelserve:requests_ended_total", "reason=\"SlowReader\""));
    }

    [Fact]
    public async Task A_reader_that_comes_back_in_time_loses_nothing()
    {
        using var fake = LongModel();
        fake.StepTime = TimeSpan.Zero;
        await using WireServer server = await StartAsync(null, fake);
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(
            Prompt(2000, set => set.Sampling.TopLogprobs = 20), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens >= 2000, "the engine is done; it waits for no reader");
        var events = new List<GenerationEvent>();
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
        {
            events.Add(message);
        }

        GenerationResult again = await server.Client.GenerateOnceAsync(Prompt(2000), cancellationToken: Token);
        Assert.Equal(again.Output.TokenIds, IdsOf(events));
        Assert.Equal(again.Output.Text, TextOf(events));
        Assert.True(events.Count < 2000, "what came while the reader was away is merged");
    }

    internal static DateTime In(double seconds) => TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(seconds);

    // An endless request lasts for more than a minute: it is there as long as a test needs it, however late the test's threads get to run.
    private static FakeModel LongModel(int slots = 8, TimeProvider? time = null) =>
        new(context: 4096, blocks: 2100, slots: slots, time: time) { StepTime = TimeSpan.FromMilliseconds(20) };

    private static async Task ReadOneTokenAsync(AsyncServerStreamingCall<GenerationEvent> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(Token));
        Assert.True(await call.ResponseStream.MoveNext(Token));
    }

    /// <summary>Reads to the end and gives the last event.</summary>
    private static async Task<GenerationEvent> DrainAsync(AsyncServerStreamingCall<GenerationEvent> call)
    {
        GenerationEvent? last = null;
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
        {
            last = message;
        }

        return last!;
    }
}
