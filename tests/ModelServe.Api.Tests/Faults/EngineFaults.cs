using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Faults 8, 19, 20, 22, 24, 25 and 26: what goes wrong beside or inside the engine while good load runs.</summary>
public sealed class EngineFaults(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    private static readonly string[] Polled = ["/metrics", "/health/ready", "/status/data", "/health/progress"];

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task A_reader_that_comes_back_just_before_its_limit_loses_nothing_and_just_after_it_is_gone(int millisecondsBeyond)
    {
        TimeSpan limit = TimeSpan.FromSeconds(30);
        var clock = new SteppedClock();
        using var fake = new FakeModel(context: 2048, blocks: 1100);
        var options = new ApiOptions { Limits = new Requests.RequestLimits { StalledWrite = limit } };
        await using WireServer server = await StartAsync(clock, options, fake);
        GenerateRequest request = Prompt(1500, set => set.Sampling.TopLogprobs = 20);
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status is { GeneratedTokens: >= 1500, Running: 0 }, "the engine is done");
        await WireServer.EventuallyAsync(() => clock.Pending(limit) == 1, "the write is parked");
        clock.Advance(limit + TimeSpan.FromMilliseconds(millisecondsBeyond));
        if (millisecondsBeyond > 0)
        {
            // A write that was parked for a moment only may have been the one that was seen.
            await clock.PassAsync(limit, () => server.Drain.LiveRequestCount == 0, "it is gone");
        }

        StreamEnd end = await ReadToEndAsync(call, request);
        if (millisecondsBeyond < 0)
        {
            Assert.Equal((FinishReason.Length, 1500), (end.Reason, end.Tokens));
        }
        else
        {
            Assert.Equal(StatusCode.ResourceExhausted, end.Status);
        }

        await QuietAsync(server);
        Tally.Fault(8, $"a reader away until {millisecondsBeyond:+0;-0} ms of its limit", 1, end.Tokens == 1500 ? 1 : 0, end.Status is null ? 0 : 1);
    }

    [Fact]
    public async Task Numbers_that_are_not_finite_fail_one_request_and_leave_its_neighbours_alone()
    {
        using var fake = new FakeModel { FailsPromptOf = 'x' };
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        fake.Allow(4);
        Task<StreamEnd> neighbour = OneAsync(server, Prompt(200, text: "neighbour"));
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens > 3, "the neighbour runs");
        Task<StreamEnd>[] others = [.. Enumerable.Range(0, 5).Select(_ => OneAsync(server, Prompt(20, text: "xyz")))];
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 6, "the others are in");
        fake.Release();
        StreamEnd[] failed = await Task.WhenAll(others);
        Assert.All(failed, end => Assert.Equal((ErrorCode.Internal, 0), (end.Error, end.Tokens)));
        Assert.Equal(FinishReason.Length, (await neighbour).Reason);
        await QuietAsync(server);
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal(5, Sum(page, "vllm:corrupted_requests_total"));
        Report(19, "logits that are not finite", [.. failed, await neighbour], end => end.Error == ErrorCode.Internal);
    }

    [Fact]
    public async Task A_device_without_memory_now_and_then_changes_no_token_and_for_good_ends_one_request()
    {
        using var fake = new FakeModel(context: 512, blocks: 256) { ExhaustedSteps = step => step % 9 == 4 };
        await using WireServer server = await StartAsync(null, fake);
        StreamEnd[] ends = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => OneAsync(server, Prompt(40, text: $"again {i}"))));
        Assert.All(ends, end => Assert.Equal((FinishReason.Length, 40), (end.Reason, end.Tokens)));
        fake.ExhaustedSteps = _ => true;
        StreamEnd exhausted = await OneAsync(server, Prompt(40, text: "too much"));
        Assert.Equal((ErrorCode.Exhausted, 0), (exhausted.Error, exhausted.Tokens));
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token));
        Assert.Equal((StatusCode.ResourceExhausted, "1000"), (refused.StatusCode, refused.Trailers.GetValue("grpc-retry-pushback-ms")));
        fake.ExhaustedSteps = null;
        StreamEnd next = await OneAsync(server, Prompt(40, text: "next"));
        Assert.Null(server.Status.Failure);
        await QuietAsync(server);
        Report(17, "a device without memory for a step", [.. ends, exhausted, next], end => end.Error == ErrorCode.Exhausted);
    }

    [Fact]
    public async Task A_token_that_the_decoder_cannot_read_fails_one_request_alone()
    {
        using var fake = new FakeModel(logitWidth: SyntheticCheckpoint.VocabularySize + 50);
        await using WireServer server = await StartAsync(null, fake);
        fake.ForcedToken = SyntheticCheckpoint.VocabularySize + 7;
        StreamEnd[] odd = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(4), cancellationToken: Token);
            List<GenerationEvent> events = await ReadAsync(call.ResponseStream.ReadAllAsync(Token));
            return new StreamEnd(events[^1].Finished?.Reason, events[^1].Error?.Code, null, 0);
        }));
        // Either it has no text or it is an error of that request; the engine and the next request do not notice.
        Assert.All(odd, end => Assert.True(end.Reason == FinishReason.Length || end.Error == ErrorCode.Internal, end.ToString()));
        fake.ForcedToken = null;
        StreamEnd next = await OneAsync(server, Prompt(20));
        Assert.Equal(FinishReason.Length, next.Reason);
        Assert.Null(server.Status.Failure);
        await QuietAsync(server);
        Report(20, "tokens that the decoder cannot read", [.. odd, next], end => end.Error == ErrorCode.Internal);
    }

    [Fact]
    public async Task The_system_clock_jumps_by_an_hour_and_no_duration_or_deadline_notices()
    {
        var wall = new JumpingClock();
        var steady = new SteadyTimeProvider(wall);
        using var fake = new FakeModel(time: steady) { StepTime = TimeSpan.FromMilliseconds(2) };
        await using WireServer server = await WireServer.StartAsync(Checkpoint, null, services => services.AddSingleton<TimeProvider>(steady), fake);
        Task<StreamEnd> running = OneAsync(server, Prompt(200));
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens > 3, "it runs");
        wall.Offset = TimeSpan.FromHours(1);
        StreamEnd later = await OneAsync(server, Prompt(20, text: "later"), EndingTests.In(300));
        wall.Offset = TimeSpan.FromHours(-1);
        StreamEnd earlier = await OneAsync(server, Prompt(20, text: "earlier"), EndingTests.In(300));
        StreamEnd[] ends = [later, earlier, await running];
        Assert.All(ends, end => Assert.Equal(FinishReason.Length, end.Reason));
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        // An hour that was noticed would be an hour more or less, however long the requests took.
        Assert.InRange(Sum(page, "vllm:e2e_request_latency_seconds_sum"), 0, 1_800);
        await QuietAsync(server);
        Report(22, "the system clock jumps by an hour", ends, _ => false);
    }

    [Fact]
    public async Task Polling_of_health_metrics_and_status_as_fast_as_it_goes_changes_no_token()
    {
        using var fake = new FakeModel { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        int polls = 0;
        Task[] pollers = [.. Polled.Select(async path =>
        {
            while (!stop.IsCancellationRequested)
            {
                using HttpResponseMessage response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), Token);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Interlocked.Increment(ref polls);
            }
        })];
        StreamEnd[] ends = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => OneAsync(server, Prompt(100, text: $"reader {i}"))));
        await stop.CancelAsync();
        await Task.WhenAll(pollers);
        Assert.All(ends, end => Assert.Equal((FinishReason.Length, 100), (end.Reason, end.Tokens)));
        await QuietAsync(server);
        Report(24, "polling as fast as it goes: streams", ends, _ => false);
        Tally.Fault(24, "polling as fast as it goes: polls", polls, polls, 0);
    }

    [Fact]
    public Task Malformed_frames_beside_good_load_change_no_token() => MalformedAsync(60);

    [Fact(Explicit = true)]
    public Task Malformed_frames_beside_good_load_change_no_token_in_full() => MalformedAsync(3_000);

    [Fact]
    public async Task A_log_that_blocks_does_not_hold_requests_that_log_nothing()
    {
        using var blocked = new BlockedLog();
        using var fake = new FakeModel();
        await using WireServer server = await WireServer.StartAsync(
            Checkpoint, null, services => services.AddSingleton<ILoggerProvider>(blocked).AddLogging(), fake);
        blocked.Block();
        StreamEnd[] ends = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => OneAsync(server, Prompt(20, text: $"request {i}"))));
        Assert.All(ends, end => Assert.Equal(FinishReason.Length, end.Reason));
        blocked.Release();
        await QuietAsync(server);
        Report(26, "a log that blocks", ends, _ => false);
    }

    private async Task MalformedAsync(int count)
    {
        using var fake = new FakeModel(context: 2048, blocks: 1100) { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        int whole = 0;
        Task[] good = [.. Enumerable.Range(0, 4).Select(async i =>
        {
            do
            {
                Assert.Equal(FinishReason.Length, (await OneAsync(server, Prompt(200, text: $"good {i}"))).Reason);
                Interlocked.Increment(ref whole);
            }
            while (!stop.IsCancellationRequested);
        })];
        var random = new Random(3);
        byte[] request = Prompt().ToByteArray();
        using var client = new HttpClient();
        int answered = 0;
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] frame = new byte[5 + request.Length];
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)request.Length);
            request.CopyTo(frame, 5);
            for (int flips = random.Next(1, 6); flips > 0; flips--)
            {
                frame[random.Next(frame.Length)] ^= (byte)(1 << random.Next(8));
            }

            if (i % 7 == 0)
            {
                await RawAsync(server, frame);
                refused++;
            }
            else if (await SendAsync(client, server, frame[..random.Next(1, frame.Length + 1)]) == "0")
            {
                answered++;
            }
            else
            {
                refused++;
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(good);
        await QuietAsync(server);
        Tally.Fault(25, "malformed frames: good streams beside them", whole, whole, 0);
        Tally.Fault(25, "malformed frames", count, answered, refused);
    }

    /// <summary>Bytes that are no HTTP/2 at all, and then nothing; the server closes the connection.</summary>
    private static async Task RawAsync(WireServer server, byte[] bytes)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, server.GrpcAddress.Port, Token);
        NetworkStream stream = socket.GetStream();
        byte[] answer = new byte[256];
        try
        {
            await stream.WriteAsync(bytes, Token);
            socket.Client.Shutdown(SocketShutdown.Send);
            while (await stream.ReadAsync(answer, Token) > 0)
            {
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // Closed by a reset: there were bytes that it did not read.
        }
    }

    /// <summary>Sends a body; the status of the answer, which may be a good one where a flipped bit left a good request.</summary>
    private static async Task<string> SendAsync(HttpClient client, WireServer server, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.GrpcAddress, "/modelserve.v1.Inference/Generate"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.ParseAdd("trailers");
        using HttpResponseMessage response = await client.SendAsync(request, Token);
        _ = await response.Content.ReadAsByteArrayAsync(Token);
        HttpHeaders status = response.TrailingHeaders.Contains("grpc-status") ? response.TrailingHeaders : response.Headers;
        return Assert.Single(status.GetValues("grpc-status"));
    }

    /// <summary>A wall clock that is set while the monotonic one goes on.</summary>
    private sealed class JumpingClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
    }

    /// <summary>A log whose sink takes nothing while it is blocked.</summary>
    private sealed class BlockedLog : ILoggerProvider, ILogger
    {
        private readonly ManualResetEventSlim _open = new(initialState: true);

        public void Block() => _open.Reset();

        public void Release() => _open.Set();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => _open.Wait();

        public void Dispose() => _open.Dispose();
    }
}
