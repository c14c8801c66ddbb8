using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Every foreign client does each of five things against the same server; the server counts what it saw.</summary>
/// <remarks>A client is skipped where it is not installed; tests/clients.sh installs them all and lets none be skipped.</remarks>
public sealed class ClientMatrixTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Text = "Grüße aus 東京 🙂";

    // An ending by deadline has time to travel on a machine that is busy with other tests.
    private static ApiOptions Options => new() { Reflection = true, DeadlineMargin = TimeSpan.FromSeconds(2) };

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
        using FakeModel fake = Endless();
        await using WireServer server = await StartAsync(Options, fake);
        ClientAnswer seen = await ForeignClient.Of(name, server).RunAsync(ClientDeed.TimeOut);
        Assert.Contains(seen.Error, ForeignClient.TimeoutWords, StringComparer.Ordinal);
        await server.QuiesceAsync();
        await EndedAsync(server, ForeignClient.TellsItsDeadline(name) ? "Deadline" : "Cancelled", 1);
        Tally.Report(name, "times out", 1, 0, 1);
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
    private static FakeModel Endless() => new(context: 4096, blocks: 2100) { StepTime = TimeSpan.FromMilliseconds(5) };

    private static Task EndedAsync(WireServer server, string reason, int count) => WireServer.EventuallyAsync(
        async () => (await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token)).Split('\n').Any(line =>
            line.StartsWith("modelserve:requests_ended_total{", StringComparison.Ordinal)
            && line.Contains($"reason=\"{reason}\"", StringComparison.Ordinal) && line.EndsWith($" {count}", StringComparison.Ordinal)),
        $"{count} ended as {reason}");
}
