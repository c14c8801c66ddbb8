using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Points;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Faults 1 to 4: clients that cancel, break off or die, at any moment of a request's life.</summary>
public sealed class CancellationFaults(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    [Fact]
    public Task Clients_cancel_at_random_moments() => CancelAtRandomAsync(120);

    [Fact(Explicit = true)]
    public Task Clients_cancel_at_random_moments_in_full() => CancelAtRandomAsync(1_000);

    [Fact]
    public Task Connections_are_reset() => ResetAsync(20);

    [Fact(Explicit = true)]
    public Task Connections_are_reset_in_full() => ResetAsync(200);

    [Fact]
    public Task A_storm_of_calls_is_cancelled_as_soon_as_it_starts() => StormAsync(1_000);

    [Fact(Explicit = true)]
    public Task A_storm_of_calls_is_cancelled_as_soon_as_it_starts_in_full() => StormAsync(50_000);

    [Theory]
    [InlineData(PipelinePoint.Admitting)]
    [InlineData(PipelinePoint.Admitted)]
    [InlineData(PipelinePoint.Reading)]
    [InlineData(PipelinePoint.Taken)]
    [InlineData(PipelinePoint.Ended)]
    [InlineData(PipelinePoint.Cancelling)]
    [InlineData(PipelinePoint.Releasing)]
    [InlineData(PipelinePoint.Released)]
    public async Task A_cancel_at_a_named_point_releases_exactly_once(PipelinePoint point)
    {
        GenerateRequest request = Prompt(8, options => options.RequestId = "held");
        var points = new HeldPoints(point, "held");
        using var fake = new FakeModel { StepTime = TimeSpan.FromMilliseconds(2) };
        await using WireServer server = await StartHeldAsync(points, fake);
        using var cancel = new CancellationTokenSource();
        AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: cancel.Token);
        Task<StreamEnd> end = ReadToEndAsync(call, request);
        await points.Reached.WaitAsync(Patience, Token);
        await cancel.CancelAsync();

        // Its neighbours do not wait for it, wherever it is held.
        GenerateRequest neighbour = Prompt(20, options => options.RequestId = "neighbour", "another");
        Assert.Equal(Alone(neighbour), (await server.Client.GenerateOnceAsync(neighbour, cancellationToken: Token)).Output.TokenIds);
        points.LetGo();
        StreamEnd held = await end;
        call.Dispose();
        // Held before admission it enters only now, after its client has left; quiet before that would be no quiet.
        await WireServer.EventuallyAsync(() => points.Count(PipelinePoint.Released, "held") > 0, "it was released");
        await QuietAsync(server);
        Assert.Equal((1, 1), (points.Count(PipelinePoint.Releasing, "held"), points.Count(PipelinePoint.Released, "held")));

        // The name is free again.
        GenerateRequest again = Prompt(4, options => options.RequestId = "held");
        Assert.Equal(Alone(again), (await server.Client.GenerateOnceAsync(again, cancellationToken: Token)).Output.TokenIds);
        // Behind its end a cancel comes too late, and it was answered.
        int whole = held.Reason == FinishReason.Length ? 1 : 0;
        Tally.Fault(4, $"cancel at the point {point}", sent: 3, answered: 2 + whole, ended: held.Status == StatusCode.Cancelled ? 1 : 0);
    }

    private async Task CancelAtRandomAsync(int count)
    {
        using var fake = new FakeModel(context: 128, blocks: 128, slots: 8, depth: 2);
        await using WireServer server = await StartAsync(null, fake);
        var random = new Random(11);
        (int Number, int Reads)[] plan = [.. Enumerable.Range(0, count).Select(i => (i, i % 2 == 0 ? -1 : random.Next(40)))];
        var ends = new string[count];
        await Parallel.ForEachAsync(plan, new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Token }, async (one, _) =>
        {
            GenerateRequest request = Prompt(32, text: $"prompt {one.Number}");
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: Token);
            if (one.Reads < 0)
            {
                StreamEnd end = await ReadToEndAsync(call, request);
                Assert.Equal((FinishReason.Length, 32), (end.Reason, end.Tokens));
                ends[one.Number] = "whole";
                return;
            }

            for (int i = 0; i < one.Reads && await call.ResponseStream.MoveNext(Token); i++)
            {
            }

            ends[one.Number] = "cancelled";
        });
        await QuietAsync(server);
        Tally.Fault(1, "clients cancel at random moments", count, ends.Count(end => end == "whole"), ends.Count(end => end == "cancelled"));
    }

    private async Task ResetAsync(int count)
    {
        using var fake = new FakeModel(context: 4096, blocks: 2100) { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        GenerateRequest other = Prompt(600, text: "neighbour");
        Task<StreamEnd> neighbourEnd = OneAsync(server, other);
        int reset = 0;
        for (int i = 0; i < count; i++)
        {
            Socket? socket = null;
            var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (context, cancellationToken) =>
                {
                    socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                    return new NetworkStream(socket, ownsSocket: false);
                },
            };
            using GrpcChannel channel = GrpcChannel.ForAddress(server.GrpcAddress, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
            using AsyncServerStreamingCall<GenerationEvent> call = new Inference.InferenceClient(channel).Generate(Prompt(4_000), cancellationToken: Token);
            Assert.True(await call.ResponseStream.MoveNext(Token));
            Assert.True(await call.ResponseStream.MoveNext(Token));
            // Closing with a zero linger sends RST instead of FIN, as a killed process with unread data does.
            socket!.LingerState = new LingerOption(enable: true, seconds: 0);
            socket.Close();
            await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount <= 1, "the reset one is gone");
            reset++;
        }

        StreamEnd end = await neighbourEnd;
        Assert.Equal(FinishReason.Length, end.Reason);
        await QuietAsync(server);
        Tally.Fault(2, "connections reset in mid-stream", count + 1, 1, reset);
    }

    private async Task StormAsync(int count)
    {
        using var fake = new FakeModel(context: 1024, blocks: 512) { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        // One beside the storm, and one in the midst of it: its connection stays as long as fewer than twice the streams of a connection
        // are cancelled and not yet cleared away, which is Kestrel's bound, and calls are cleared away sooner than clients open them.
        using GrpcChannel another = GrpcChannel.ForAddress(server.GrpcAddress);
        Inference.InferenceClient[] clients = [new Inference.InferenceClient(another), server.Inference];
        Task<StreamEnd>[] neighbours = [.. clients.Select(async (client, i) =>
        {
            GenerateRequest request = Prompt(300, text: $"neighbour {i}");
            using AsyncServerStreamingCall<GenerationEvent> call = client.Generate(request, cancellationToken: Token);
            return await ReadToEndAsync(call, request);
        })];
        int cancelled = 0;
        await Parallel.ForEachAsync(
            Enumerable.Range(0, count),
            new ParallelOptions { MaxDegreeOfParallelism = 64, CancellationToken = Token },
            async (i, _) =>
            {
                using var cancel = new CancellationTokenSource();
                using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(800), cancellationToken: cancel.Token);
                if (i % 4 == 0)
                {
                    // Some get as far as the server before they are cancelled.
                    await Task.Yield();
                }

                await cancel.CancelAsync();
                Interlocked.Increment(ref cancelled);
            });
        Assert.All(await Task.WhenAll(neighbours), end => Assert.Equal("Length", end.ToString()));
        await QuietAsync(server);
        Tally.Fault(3, "calls cancelled as they start", count + neighbours.Length, neighbours.Length, cancelled);
    }
}
