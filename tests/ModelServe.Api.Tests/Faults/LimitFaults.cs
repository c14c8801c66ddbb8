using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Points;
using ModelServe.Api.Requests;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Faults 5 and 7 to 12, 21: deadlines, slow readers, and more than there is room for.</summary>
public sealed class LimitFaults(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    [Theory]
    [InlineData(PipelinePoint.Admitted)]
    [InlineData(PipelinePoint.Reading)]
    [InlineData(PipelinePoint.Taken)]
    [InlineData(PipelinePoint.Ended)]
    public async Task A_deadline_that_passes_at_a_named_point_ends_the_call_once(PipelinePoint point)
    {
        // A busy machine may not get there in time; then the deadline was passed elsewhere, and a longer one is tried.
        int tries = 1;
        for (double seconds = 0.4; !await DeadlineAtAsync(point, seconds); seconds *= 2)
        {
            Assert.True(seconds < Patience.TotalSeconds, $"{point} was not reached within {seconds} s");
            tries++;
        }

        Tally.Fault(5, $"deadline at the point {point}", tries, 0, tries);
    }

    /// <summary>Holds a call at a point until its deadline has passed.</summary>
    /// <returns>Whether the point was reached before the deadline.</returns>
    private async Task<bool> DeadlineAtAsync(PipelinePoint point, double seconds)
    {
        GenerateRequest request = Prompt(8, options => options.RequestId = "held");
        var points = new HeldPoints(point, "held");
        using var fake = new FakeModel { StepTime = TimeSpan.FromMilliseconds(2) };
        await using WireServer server = await StartHeldAsync(points, fake);
        StreamEnd end = await OneAsync(server, request, EndingTests.In(seconds));
        bool reached = points.Reached.IsCompleted;
        points.LetGo();
        await QuietAsync(server);
        if (reached)
        {
            Assert.Equal(StatusCode.DeadlineExceeded, end.Status);
            await WireServer.EventuallyAsync(() => points.Count(PipelinePoint.Released, "held") == 1, "it was released once");
        }

        return reached;
    }

    [Fact]
    public async Task Half_of_the_readers_stall_and_the_others_get_everything()
    {
        var limit = TimeSpan.FromMilliseconds(400);
        var clock = new SteppedClock();
        using var fake = new FakeModel(context: 2048, blocks: 2100, slots: 16);
        var options = new ApiOptions { Limits = new RequestLimits { StalledWrite = limit } };
        await using WireServer server = await StartAsync(clock, options, fake);
        fake.Hold();
        AsyncServerStreamingCall<GenerationEvent>[] stalled =
        [
            .. Enumerable.Range(0, 8).Select(i => server.Inference.Generate(Prompt(2000, set => set.Sampling.TopLogprobs = 20, $"stalled {i}"), cancellationToken: Token)),
        ];
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 8, "the stalled ones are in");
        fake.Release();
        StreamEnd[] whole = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            GenerateRequest request = Prompt(300, text: $"reader {i}");
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: Token);
            return await ReadToEndAsync(call, request);
        }));
        Assert.All(whole, end => Assert.Equal((FinishReason.Length, 300), (end.Reason, end.Tokens)));
        // The time of the stalled ones passes only now; the others never came near theirs.
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 8, "only the stalled ones are left");
        await clock.PassAsync(limit, () => server.Drain.LiveRequestCount == 0, "the stalled ones are cut off");
        await QuietAsync(server);
        foreach (AsyncServerStreamingCall<GenerationEvent> call in stalled)
        {
            RpcException ended = await Assert.ThrowsAnyAsync<RpcException>(async () =>
            {
                while (await call.ResponseStream.MoveNext(Token))
                {
                }
            });
            Assert.Equal(StatusCode.ResourceExhausted, ended.StatusCode);
            call.Dispose();
        }

        Tally.Fault(7, "half of the readers stall", 16, whole.Length, stalled.Length);
    }

    [Fact]
    public Task Preempted_streams_write_what_they_would_have_written_alone() => PreemptAsync(60);

    [Fact(Explicit = true)]
    public Task Preempted_streams_write_what_they_would_have_written_alone_in_full() => PreemptAsync(1_000);

    [Fact]
    public async Task A_prompt_that_just_fits_runs_and_one_token_more_is_refused_at_once()
    {
        using var fake = new FakeModel(context: 64, blocks: 3);
        await using WireServer server = await StartAsync(null, fake);
        // Three blocks of 16 hold 48 positions, and the last token of an output needs none.
        GenerateRequest fits = Prompt(29, text: new string('p', 19));
        Assert.Equal(Alone(fits), (await server.Client.GenerateOnceAsync(fits, cancellationToken: Token)).Output.TokenIds);
        int refusals = 0;
        foreach (GenerateRequest never in new[] { Prompt(30, text: new string('p', 19)), Prompt(1, text: new string('p', 64)), Prompt(1, text: new string('p', 63)) })
        {
            RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(never, cancellationToken: Token));
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
            refusals++;
        }

        await QuietAsync(server);
        Tally.Fault(10, "prompts that just fit, and one token more", 4, 1, refusals);
    }

    [Fact]
    public Task A_full_queue_refuses_and_then_empties() => FullQueueAsync(64);

    [Fact(Explicit = true)]
    public Task A_full_queue_refuses_and_then_empties_in_full() => FullQueueAsync(2_000);

    [Fact]
    public Task A_storm_of_reconnects_loses_no_call() => ReconnectAsync(60);

    [Fact(Explicit = true)]
    public Task A_storm_of_reconnects_loses_no_call_in_full() => ReconnectAsync(1_000);

    private async Task PreemptAsync(int count)
    {
        // Twelve blocks for eight slots: nearly every sequence is preempted at some time.
        using var fake = new FakeModel(context: 96, blocks: 12, slots: 8);
        await using WireServer server = await StartAsync(null, fake);
        var random = new Random(5);
        GenerateRequest[] requests =
        [
            .. Enumerable.Range(0, count).Select(i => Prompt(random.Next(1, 60), text: $"{i} {new string('x', random.Next(20))}")),
        ];
        var ends = new string[count];
        // As many at once as there may be, before the first of them runs.
        fake.Hold();
        Task all = Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 24, CancellationToken = Token }, async (i, _) =>
        {
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(requests[i], cancellationToken: Token);
            StreamEnd end = await ReadToEndAsync(call, requests[i]);
            Assert.Equal(FinishReason.Length, end.Reason);
            ends[i] = "whole";
        });
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 24, "all are in");
        fake.Release();
        await all;
        Assert.True(server.Status.Preemptions > 0, "nothing was preempted");
        await QuietAsync(server);
        Tally.Fault(9, $"requests that are preempted ({server.Status.Preemptions} times)", count, ends.Count(end => end == "whole"), 0);
    }

    private async Task FullQueueAsync(int count)
    {
        const int Queue = 5;
        const int Slots = 2;
        using var fake = new FakeModel(slots: Slots, options: new EngineOptions { MaxQueuedRequests = Queue });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        var ends = new string[count];
        int answered = 0;
        Task all = Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 64, CancellationToken = Token }, async (i, _) =>
        {
            GenerateRequest request = Prompt(4, text: $"queue {i}");
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: Token);
            ends[i] = (await ReadToEndAsync(call, request)).ToString();
            Interlocked.Increment(ref answered);
        });
        await WireServer.EventuallyAsync(() => Volatile.Read(ref answered) >= 64 - Queue - Slots - Slots, "those beyond the limit were refused");
        Assert.InRange(server.Status.Waiting, 0, Queue + Slots);
        fake.Release();
        await all;
        Assert.All(ends, end => Assert.True(end is "Length" or "ResourceExhausted", end));
        Assert.True(ends.Count(end => end == "Length") >= Queue);
        await QuietAsync(server);
        Tally.Fault(12, "a full queue", count, ends.Count(end => end == "Length"), ends.Count(end => end == "ResourceExhausted"));
    }

    private async Task ReconnectAsync(int count)
    {
        using var fake = new FakeModel(slots: 32, blocks: 512, options: new EngineOptions { MaxQueuedRequests = 4_000 });
        await using WireServer server = await StartAsync(new ApiOptions { StreamsPerConnection = 4 }, fake);
        var ends = new string[count];
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = Token }, async (i, _) =>
        {
            // A connection of its own, and more calls on it than it may have streams: the rest wait in the client.
            using GrpcChannel channel = GrpcChannel.ForAddress(server.GrpcAddress);
            var client = new Inference.InferenceClient(channel);
            StreamEnd[] six = await Task.WhenAll(Enumerable.Range(0, 6).Select(async k =>
            {
                GenerateRequest request = Prompt(5, text: $"{i} {k}");
                using AsyncServerStreamingCall<GenerationEvent> call = client.Generate(request, cancellationToken: Token);
                return await ReadToEndAsync(call, request);
            }));
            Assert.All(six, end => Assert.Equal(FinishReason.Length, end.Reason));
            ends[i] = "six whole";
        });
        await QuietAsync(server);
        Tally.Fault(21, "six calls on each of many connections", count * 6, 6 * ends.Count(end => end == "six whole"), 0);
    }
}
