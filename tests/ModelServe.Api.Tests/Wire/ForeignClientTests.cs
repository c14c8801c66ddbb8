using System.Text.Json;
using ModelServe.Api.Requests;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>The contract as grpc-js understands it. Skipped where node or its packages are absent (npm install in tests/oracles/grpc-js).</summary>
public sealed class ForeignClientTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_client_in_JavaScript_streams_a_chat()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße aus 東京 🙂");
        JsonElement seen = await RunAsync(server, "stream");
        Assert.Equal("Grüße aus 東京 🙂", seen.GetProperty("text").GetString());
        Assert.Equal(["accepted", "tokens", "finished"], seen.GetProperty("events").EnumerateArray().Select(name => name.GetString()!));
        Assert.Equal("FINISH_REASON_STOP", seen.GetProperty("reason").GetString());
        Assert.Equal("OK", seen.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_client_in_JavaScript_is_told_the_bad_field()
    {
        await using WireServer server = await StartAsync();
        JsonElement seen = await RunAsync(server, "bad-field");
        Assert.Equal("INVALID_ARGUMENT", seen.GetProperty("status").GetString());
        Assert.Contains("options.sampling.temperature", seen.GetProperty("details").GetString(), StringComparison.Ordinal);
        Assert.True(seen.GetProperty("hasDetails").GetBoolean());
        Assert.Equal("-1", seen.GetProperty("pushback").GetString());
    }

    [Fact]
    public async Task A_client_in_JavaScript_that_cancels_frees_its_request()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = FakeModel.Slow;
        JsonElement seen = await RunAsync(server, "cancel");
        Assert.Equal("CANCELLED", seen.GetProperty("status").GetString());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_client_in_JavaScript_gets_its_terminal_event_before_its_deadline_cuts_the_call()
    {
        // The client gives a minute, of which the server's clock passes at once what its margin leaves.
        var clock = new SteppedClock();
        using var fake = new FakeModel(time: clock) { StepTime = FakeModel.Slow };
        var options = new ApiOptions { DeadlineMargin = TimeSpan.FromSeconds(3), Limits = new RequestLimits { StalledWrite = TimeSpan.FromHours(1) } };
        await using WireServer server = await StartAsync(clock, options, fake);
        Task<JsonElement> client = RunAsync(server, "deadline");
        await WireServer.EventuallyAsync(() => client.IsFaulted || server.Status.Running == 1, "it runs");
        clock.Advance(TimeSpan.FromSeconds(57));
        JsonElement seen = await client;
        Assert.Equal(("OK", "FINISH_REASON_DEADLINE"), (seen.GetProperty("status").GetString(), seen.GetProperty("reason").GetString()));
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_client_in_JavaScript_is_refused_by_a_full_queue_and_told_when_to_come_back()
    {
        using FakeModel fake = new(slots: 1, options: new EngineOptions { MaxQueuedRequests = 1, QueueRetryAfter = TimeSpan.FromMilliseconds(100) });
        await using WireServer server = await StartAsync(null, fake);
        (Task<GenerationResult> running, Task<GenerationResult> waiting) = await FillAsync(server);
        JsonElement seen = await RunAsync(server, "refused");
        Assert.Equal(("RESOURCE_EXHAUSTED", "100"), (seen.GetProperty("status").GetString(), seen.GetProperty("pushback").GetString()));

        // The library's own retries: the queue empties while it waits, and its policy alone would wait much longer.
        Task<JsonElement> retried = RunAsync(server, "retry");
        await WireServer.EventuallyAsync(async () => await server.RejectedAsync() > 1, "refused again");
        fake.Release();
        seen = await retried;
        Assert.Equal(("OK", true), (seen.GetProperty("status").GetString(), seen.GetProperty("beforeBackoff").GetBoolean()));
        await Task.WhenAll(running, waiting);
    }

    [Fact]
    public async Task A_client_in_JavaScript_sees_a_drain_in_its_health_watch()
    {
        await using WireServer server = await StartAsync();
        JsonElement seen = await RunAsync(server, "health", line =>
        {
            if (line == "SERVING")
            {
                server.Drain.Begin();
            }
        });
        Assert.Equal("SERVING", seen.GetProperty("check").GetString());
        Assert.Equal(["SERVING", "NOT_SERVING"], seen.GetProperty("states").EnumerateArray().Select(state => state.GetString()!));
    }

    [Fact]
    public async Task A_client_in_JavaScript_finds_every_service_by_reflection()
    {
        await using WireServer server = await StartAsync(new ApiOptions { Reflection = true });
        JsonElement seen = await RunAsync(server, "reflection");
        string[] services = [.. seen.GetProperty("services").EnumerateArray().Select(name => name.GetString()!)];
        string[] expected =
        [
            "modelserve.v1.Inference", "modelserve.v1.Models", "modelserve.v1.Control", "modelserve.v1.Events", "grpc.health.v1.Health",
            "vllm.grpc.engine.VllmEngine", "openengine.v1.Inference", "openengine.v1.Control", "inference.GRPCInferenceService",
        ];
        Assert.Empty(expected.Except(services));
        Assert.True(seen.GetProperty("files").GetInt32() > 0);
    }

    [Fact]
    public async Task A_client_in_JavaScript_follows_the_prefix_cache()
    {
        await using WireServer server = await StartAsync();
        await server.Client.GenerateOnceAsync(Prompt(2, text: new string('x', 40)), cancellationToken: Token);
        JsonElement seen = await RunAsync(server, "kv-events");
        Assert.Equal(["1", "2"], seen.GetProperty("sequences").EnumerateArray().Select(number => number.GetString()!));
        Assert.Equal((16, 16), (seen.GetProperty("blockTokens").GetInt32(), seen.GetProperty("hashBytes").GetInt32()));
    }

    private static async Task<(Task<GenerationResult> Running, Task<GenerationResult> Waiting)> FillAsync(WireServer server)
    {
        server.Fake.Hold();
        Task<GenerationResult> running = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "running");
        Task<GenerationResult> waiting = server.Client.GenerateOnceAsync(Prompt(4), cancellationToken: Token);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "waiting");
        return (running, waiting);
    }

    private static Task<JsonElement> RunAsync(WireServer server, string mode, Action<string>? onLine = null) => ForeignProcess.NodeAsync(
        "grpc-js", "@grpc/grpc-js", ["interop.mjs", server.GrpcAddress.Authority, Path.Combine(Repository.Root, "src", "ModelServe.Api", "Protos"), mode], onLine);
}
