using ModelServe.Api.Requests;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Every foreign client does each of five things against the same server; the server counts what it saw.</summary>
/// <remarks>A client is skipped where it is not installed; tests/clients.sh installs them all and lets none be skipped.</remarks>
public sealed class ClientMatrixTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Text = "Grüße aus 東京 🙂";

    private static ApiOptions Options => new()
    {
        Reflection = true,
        DeadlineMargin = TimeSpan.FromSeconds(2),
        Limits = new RequestLimits { StalledWrite = TimeSpan.FromHours(1) },
    };

    /// <summary>The clients, by the way they are run.</summary>
    public static TheoryData<string> Clients => [.. ForeignClient.Names];

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task It_streams_a_whole_answer(string name)
    {
        await using WireServer server = await StartAsync(Options);
        server.Fake.Writes(Text);
        ClientAnswer seen = await ForeignClient.Of(name, server).RunAsync(ClientDeed.Stream);
        Assert.Equal(Text, seen.Text);
        await EndedAsync(server, "Stop", 1);
        Tally.Report(name, "streams", 1, 1, 0);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task It_leaves_in_mid_stream_and_its_request_is_freed(string name)
    {
        using FakeModel fake = Endless();
        await using WireServer server = await StartAsync(Options, fake);
        await ForeignClient.Of(name, server).RunAsync(ClientDeed.Cancel);
        await server.QuiesceAsync();
        await EndedAsync(server, "Cancelled", 1);
        Tally.Report(name, "cancels", 1, 0, 1);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Its_time_is_over_and_its_request_is_freed(string name)
    {
        var clock = new SteppedClock();
        using FakeModel fake = Endless(clock);
        await using WireServer server = await StartAsync(clock, Options, fake);
        ForeignClient client = ForeignClient.Of(name, server);
        int runs = 0;
        if (ForeignClient.TellsItsDeadline(name))
        {
            // It gives a minute, of which the server's clock passes at once what its margin leaves.
            Task<ClientAnswer> told = client.RunAsync(ClientDeed.TimeOut);
            await WireServer.EventuallyAsync(() => told.IsFaulted || server.Status.Running == 1, "it runs");
            clock.Advance(TimeSpan.FromSeconds(58));
            Assert.Contains((await told).Error, ForeignClient.TimeoutWords, StringComparer.Ordinal);
            await server.QuiesceAsync();
            await EndedAsync(server, "Deadline", 1);
            runs = 1;
        }

        // One whose own clock strikes before a busy server has heard of its request is run again, with more patience.
        for (; runs == 0 || await server.SumAsync("modelserve:streams_created_total") == 0; runs++, client.Patience *= 2)
        {
            Assert.Contains((await client.RunAsync(ClientDeed.TimeOut)).Error, ForeignClient.TimeoutWords, StringComparer.Ordinal);
            await server.QuiesceAsync();
        }

        await WireServer.EventuallyAsync(
            async () => (await server.SumAsync("modelserve:requests_ended_total")).Equals(await server.SumAsync("modelserve:streams_created_total")), "all have ended");
        string reason = ForeignClient.TellsItsDeadline(name) ? "Deadline" : "Cancelled";
        Assert.Equal(await server.SumAsync("modelserve:requests_ended_total"), await server.SumAsync("modelserve:requests_ended_total", $"reason=\"{reason}\""));
        Tally.Report(name, "times out", runs, 0, runs);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task It_is_refused_once_and_told_the_field(string name)
    {
        await using WireServer server = await StartAsync(Options);
        ClientAnswer seen = await ForeignClient.Of(name, server).RunAsync(ClientDeed.BadField);
        Assert.Contains("temperature", seen.Error, StringComparison.Ordinal);
        Assert.Equal(1, await server.RejectedAsync());
        Tally.Report(name, "is refused", 1, 0, 1);
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task A_full_queue_turns_it_away_and_it_comes_back_as_it_was_told(string name)
    {
        using FakeModel fake = new(slots: 1, options: new EngineOptions { MaxQueuedRequests = 1, QueueRetryAfter = TimeSpan.FromMilliseconds(300) });
        await using WireServer server = await StartAsync(Options, fake);
        fake.Writes(Text);
        fake.Hold();
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        Task<GenerationResult> waiting = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "one waits");
        Task<ClientAnswer> client = ForeignClient.Of(name, server).RunAsync(ClientDeed.Retry);
        await WireServer.EventuallyAsync(async () => client.IsFaulted || await server.RejectedAsync() >= 1, "it was turned away");
        if (client.IsFaulted)
        {
            // One that is not installed says so.
            fake.Release();
            await client;
        }

        if (!ForeignClient.Retries(name))
        {
            // One without retries of its own says what it was told, and tries no more.
            Assert.Contains("resource_exhausted", (await client).Error, StringComparison.Ordinal);
            Assert.Equal(1, await server.RejectedAsync());
        }

        fake.Release();
        Assert.Equal(ForeignClient.Retries(name) ? Text : string.Empty, (await client).Text);
        await Task.WhenAll(running, waiting);
        Tally.Report(name, "retries", 3, ForeignClient.Retries(name) ? 3 : 2, ForeignClient.Retries(name) ? 0 : 1);
    }

    // Longer than any client's time here, and slow enough to be left in its middle.
    private static FakeModel Endless(TimeProvider? time = null) => new(context: 4096, blocks: 2100, time: time) { StepTime = FakeModel.Slow };

    private static Task EndedAsync(WireServer server, string reason, int count) => WireServer.EventuallyAsync(
        async () => (await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token)).Split('\n').Any(line =>
            line.StartsWith("modelserve:requests_ended_total{", StringComparison.Ordinal)
            && line.Contains($"reason=\"{reason}\"", StringComparison.Ordinal) && line.EndsWith($" {count}", StringComparison.Ordinal)),
        $"{count} ended as {reason}");
}
