using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Points;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Simulation;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>What every fault is judged by: streams that are complete or end once, and nothing left of any of them.</summary>
/// <remarks>
/// Each fault runs at a reduced count in the ordinary test run, and at its full count when explicit tests are asked for. It says on
/// its output how many streams met which end, so that a full run shows that none was lost.
/// </remarks>
public abstract class FaultTest(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    /// <summary>Longer than anything here takes; what is not there by then never comes.</summary>
    protected static TimeSpan Patience { get; } = TimeSpan.FromSeconds(60);

    protected Task<WireServer> StartHeldAsync(IPipelinePoints points, params FakeModel[] models) =>
        WireServer.StartAsync(Checkpoint, null, services => services.AddSingleton(points), models);

    /// <summary>The invariant Q: nothing is live, running, waiting or held, and every stream that was opened was closed.</summary>
    /// <remarks>
    /// One reading must show all of it. A call whose client has left may reach the server only now, so that an earlier reading shows
    /// a quiet server and the next one does not.
    /// </remarks>
    protected static async Task QuietAsync(WireServer server)
    {
        string[] disquiet = [];
        await WireServer.EventuallyAsync(
            async () =>
            {
                string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
                Assert.Equal(0, Sum(page, "modelserve:engine_healings_total"));
                disquiet = [.. Disquiet(page)];
                return disquiet.Length == 0 && server.Drain.LiveRequestCount == 0;
            },
            () => string.Join(", ", disquiet));
    }

    private static IEnumerable<string> Disquiet(string page)
    {
        (string Name, double Left, double Right)[] equal =
        [
            ("streams created and released", Sum(page, "modelserve:streams_created_total"), Sum(page, "modelserve:streams_released_total")),
            ("streams created and ended", Sum(page, "modelserve:streams_created_total"), Sum(page, "modelserve:requests_ended_total")),
            ("blocks and free ones", Sum(page, "modelserve:kv_blocks"), Sum(page, "modelserve:kv_blocks_free")),
            ("live and none", Sum(page, "modelserve:live_requests"), 0),
            ("running and none", Sum(page, "vllm:num_requests_running"), 0),
            ("waiting and none", Sum(page, "vllm:num_requests_waiting"), 0),
        ];
        return equal.Where(one => !one.Left.Equals(one.Right)).Select(one => $"{one.Name}: {one.Left} and {one.Right}");
    }

    /// <summary>Sum of a metric over all its series.</summary>
    protected static double Sum(string page, string name) => page.Split('\n')
        .Where(line => line.StartsWith(name + "{", StringComparison.Ordinal))
        .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    /// <summary>What the fake model answers to a prompt when nothing disturbs it.</summary>
    protected static uint[] Alone(GenerateRequest request)
    {
        List<int> all = [.. request.TokenIds.Ids.Select(id => (int)id)];
        int prompt = all.Count;
        for (int i = 0; i < request.Options.Stop.MaxTokens; i++)
        {
            all.Add('a' + (int)(FakeExecutor.HashOf(all.ToArray()) % 26));
        }

        return [.. all.Skip(prompt).Select(id => (uint)id)];
    }

    /// <summary>Reads a stream to its end: one Accepted first, deltas, one terminal event last; a whole answer is the model's own, token by token.</summary>
    protected static async Task<StreamEnd> ReadToEndAsync(AsyncServerStreamingCall<GenerationEvent> call, GenerateRequest request)
    {
        var events = new List<GenerationEvent>();
        try
        {
            await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
            {
                events.Add(message);
            }
        }
        catch (RpcException exception)
        {
            AssertPrefix(events, request);
            return new StreamEnd(null, null, exception.StatusCode, IdsOf(events).Length);
        }

        Assert.Equal(GenerationEvent.EventOneofCase.Accepted, events[0].EventCase);
        Assert.Single(events, message => message.EventCase == GenerationEvent.EventOneofCase.Accepted);
        Assert.Single(events, message => message.EventCase is GenerationEvent.EventOneofCase.Finished or GenerationEvent.EventOneofCase.Error);
        AssertPrefix(events, request);
        GenerationEvent last = events[^1];
        if (last.EventCase == GenerationEvent.EventOneofCase.Error)
        {
            return new StreamEnd(null, last.Error.Code, null, IdsOf(events).Length);
        }

        Assert.Equal(last.Finished.Usage.CompletionTokens, IdsOf(events).Length);
        if (last.Finished.Reason == FinishReason.Length)
        {
            Assert.Equal(request.Options.Stop.MaxTokens, IdsOf(events).Length);
        }

        return new StreamEnd(last.Finished.Reason, null, null, IdsOf(events).Length);
    }

    /// <summary>Opens a stream and reads it to its end.</summary>
    protected static async Task<StreamEnd> OneAsync(WireServer server, GenerateRequest request, DateTime? deadline = null)
    {
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, deadline: deadline, cancellationToken: Token);
        return await ReadToEndAsync(call, request);
    }

    /// <summary>Tells how many streams were answered whole and how many met the end that was meant.</summary>
    protected static void Report(int fault, string what, IReadOnlyCollection<StreamEnd> ends, Func<StreamEnd, bool> isMeant) => Tally.Fault(
        fault, what, ends.Count, ends.Count(end => end.Reason == FinishReason.Length), ends.Count(end => end.Reason != FinishReason.Length && isMeant(end)));

    private static void AssertPrefix(List<GenerationEvent> events, GenerateRequest request)
    {
        uint[] ids = IdsOf(events);
        Assert.Equal(Alone(request).AsSpan(0, ids.Length).ToArray(), ids);
        Assert.Equal(string.Concat(ids.Select(id => (char)id)), TextOf(events));
    }

    /// <summary>How a stream ended: a reason, an error event or a status, after so many tokens.</summary>
    protected sealed record StreamEnd(FinishReason? Reason, ErrorCode? Error, StatusCode? Status, int Tokens)
    {
        public override string ToString() => Reason?.ToString() ?? Error?.ToString() ?? Status?.ToString() ?? "nothing";
    }
}
