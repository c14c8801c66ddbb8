using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Faults 15 and 16: the process is told to stop, or is killed, at every stage of its life.</summary>
public sealed partial class StopTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_drain_time_a_running_stream_is_ended_at_once_with_usage_and_the_process_exits_0()
    {
        await WhileTheMachineGoesAsync(async () =>
        {
            using ModelServeProcess server = Start("--drain-timeout", "0");
            (string grpc, _) = await ReadyAsync(server);
            Stopwatch watch = new();
            ModelServeException ended = await EndlessAsync(grpc, () =>
            {
                watch.Start();
                server.Terminate();
            });
            Assert.Equal(ErrorCode.Drained, ended.Code);
            Assert.Equal(0, await server.WaitAsync(Cancellation));
            Assert.InRange(watch.Elapsed.TotalSeconds, 0, 4.1);
        });
        Tally.Fault(15, "SIGTERM without drain time", 1, 0, 1);
    }

    [Fact]
    public async Task A_stream_that_outlives_the_drain_time_is_ended_inside_it()
    {
        await WhileTheMachineGoesAsync(async () =>
        {
            using ModelServeProcess server = Start("--drain-timeout", "3");
            (string grpc, _) = await ReadyAsync(server);
            Stopwatch watch = new();
            ModelServeException ended = await EndlessAsync(grpc, () =>
            {
                watch.Start();
                server.Terminate();
            });
            // Half of the drain time is left for the farewell, since two seconds are more than that.
            Assert.InRange(watch.Elapsed.TotalSeconds, 1.4, 3);
            Assert.Equal(ErrorCode.Drained, ended.Code);
            Assert.Equal(0, await server.WaitAsync(Cancellation));
            Assert.InRange(watch.Elapsed.TotalSeconds, 1.4, 13);
        });
        Tally.Fault(15, "SIGTERM, streams outlive the drain time", 1, 0, 1);
    }

    [Fact]
    public async Task The_ports_stay_open_for_the_drain_delay_while_readiness_has_turned()
    {
        // Where the machine stands still for longer than the ports stay open, a longer delay is tried.
        int delay = 2;
        await WhileTheMachineGoesAsync(() => PortsStayOpenAsync(delay), () => delay *= 2);
        Tally.Fault(15, "SIGTERM, ports stay open and refuse", 1, 0, 1);
    }

    private static async Task PortsStayOpenAsync(int delay)
    {
        using ModelServeProcess server = Start("--drain-delay", $"{delay}");
        (string grpc, string http) = await ReadyAsync(server);
        using HttpClient client = new();
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http + "/health/ready"));
        Stopwatch watch = Stopwatch.StartNew();
        server.Terminate();
        await server.WaitForErrorTextAsync("refusing new requests", Cancellation);
        using (TcpClient late = new())
        {
            await late.ConnectAsync(IPEndPoint.Parse(new Uri(grpc).Authority), Cancellation);
        }

        while (await StatusAsync(client, http + "/health/ready") != HttpStatusCode.ServiceUnavailable)
        {
            await Task.Yield();
        }

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http + "/health/live"));
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(
            () => new Inference.InferenceClient(channel).ChatUnaryAsync(Question(), cancellationToken: Cancellation).ResponseAsync);
        Assert.Equal((StatusCode.Unavailable, "0"), (refused.StatusCode, refused.Trailers.GetValue("grpc-retry-pushback-ms")));
        Assert.Equal(0, await server.WaitAsync(Cancellation));
        Assert.InRange(watch.Elapsed.TotalSeconds, delay - 0.1, delay + 6);
    }

    [Fact]
    public async Task A_signal_while_models_load_ends_the_process_at_once()
    {
        await WhileTheMachineGoesAsync(async () =>
        {
            using ModelServeProcess server = Start();
            Stopwatch watch = Stopwatch.StartNew();
            server.Terminate();
            // Nothing was accepted, so nothing is drained: the signal's own ending, or an orderly one if loading was quicker.
            Assert.True(await server.WaitAsync(Cancellation) is 0 or 143);
            Assert.InRange(watch.Elapsed.TotalSeconds, 0, 5);
        });
        Tally.Fault(15, "SIGTERM while models load", 1, 0, 1);
    }

    [Fact]
    public async Task After_a_kill_the_same_ports_serve_again()
    {
        int[] ports = [FreePort(0), FreePort(1_000)];
        string[] addresses = ["--grpc", $"127.0.0.1:{ports[0]}", "--http", $"127.0.0.1:{ports[1]}"];
        using (ModelServeProcess first = ModelServeProcess.Start(["serve", .. addresses]))
        {
            (string grpc, _) = await ReadyAsync(first);
            using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
            using AsyncServerStreamingCall<GenerationEvent> call = new Inference.InferenceClient(channel).Chat(Endless(), cancellationToken: Cancellation);
            Assert.True(await call.ResponseStream.MoveNext(Cancellation));
            first.Kill();
            Assert.Equal(137, await first.WaitAsync(Cancellation));
        }

        using ModelServeProcess second = ModelServeProcess.Start(["serve", .. addresses]);
        (string again, _) = await ReadyAsync(second);
        using GrpcChannel fresh = GrpcChannel.ForAddress(again);
        Assert.Equal("85", (await new ModelServeClient(fresh).ChatOnceAsync(Question(), cancellationToken: Cancellation)).Output.Text);
        second.Terminate();
        Assert.Equal(0, await second.WaitAsync(Cancellation));
        Tally.Fault(16, "killed and started again on the same ports", 2, 1, 1);
    }

    internal static ModelServeProcess Start(params string[] options) =>
        ModelServeProcess.Start(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", .. options]);

    internal static ChatRequest Question() => new() { Messages = { new V1.ChatMessage { Role = "user", Content = "What is 27 + 58?" } } };

    internal static async Task<(string Grpc, string Http)> ReadyAsync(ModelServeProcess server)
    {
        Match line = ReadyLine().Match(await server.WaitForErrorTextAsync("ready: ", Cancellation));
        return (line.Groups["grpc"].Value, line.Groups["http"].Value);
    }

    private static ChatRequest Endless()
    {
        ChatRequest request = Question();
        request.Options = new GenerationOptions { Stop = new StopConditions { IgnoreEos = true } };
        return request;
    }

    /// <summary>Keeps many streams running at once until the server ends them.</summary>
    /// <param name="grpc">The server.</param>
    /// <param name="onAllRunning">Called once every stream has had a token: one that comes later than a stop signal is refused instead.</param>
    private static async Task<ModelServeException> EndlessAsync(string grpc, Action onAllRunning)
    {
        const int Streams = 48;
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        int running = 0;
        return await Assert.ThrowsAsync<ModelServeException>(() => Task.WhenAll(Enumerable.Range(0, Streams).Select(async _ =>
        {
            bool isRunning = false;
            await foreach (GenerationEvent message in new ModelServeClient(channel).ChatAsync(Endless(), cancellationToken: Cancellation))
            {
                if (message.Tokens is not null && !isRunning)
                {
                    isRunning = true;
                    if (Interlocked.Increment(ref running) == Streams)
                    {
                        onAllRunning();
                    }
                }
            }
        })));
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, string address)
    {
        using HttpResponseMessage response = await client.GetAsync(new Uri(address), Cancellation);
        return response.StatusCode;
    }

    /// <summary>
    /// Runs what holds a process to limits of time, which pass also where the machine stands still: a run that failed while it was seen to do so is done
    /// again, four times at most, and told. What fails on a machine that goes is broken.
    /// </summary>
    /// <param name="run">The run; it fails by an exception.</param>
    /// <param name="beforeNext">What is changed for the next.</param>
    internal static async Task WhileTheMachineGoesAsync(Func<Task> run, Action? beforeNext = null)
    {
        const int Most = 5;
        for (int tries = 1; ; tries++)
        {
            using StandstillWatch watch = new();
            try
            {
                await run();
                return;
            }
            catch (Exception exception) when (exception is not OperationCanceledException && tries < Most && watch.Longest >= StandstillWatch.Long)
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"run {tries}: {exception.Message}, while the machine stood still for {watch.Longest.TotalMilliseconds:0} ms");
                beforeNext?.Invoke();
            }
        }
    }

    /// <summary>A port that nobody has, of those that the system gives to nobody who does not ask for it by number: it stays free.</summary>
    private static int FreePort(int beyond)
    {
        for (int port = 10_000 + (Environment.ProcessId % 20_000) + beyond; ; port++)
        {
            using TcpListener listener = new(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody's.
            }
        }
    }

    [GeneratedRegex(@"gRPC (?<grpc>http://[^,\s]+), HTTP (?<http>http://\S+)")]
    private static partial Regex ReadyLine();
}
