using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Client;
using ModelServe.Host.Tests.Faults;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>The serving process as an operator sees it: ready line, answers, SIGTERM.</summary>
public sealed partial class ServeProcessTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Serve_with_the_shipped_model_answers_and_ends_on_sigterm()
    {
        using ModelServeProcess server = ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0");
        (string grpc, string http) = await ReadyAsync(server);
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        string answer = "";
        await foreach (string text in new ModelServeClient(channel).ChatTextAsync(Question(), cancellationToken: Cancellation))
        {
            answer += text;
        }

        Assert.Equal("85", answer);
        using HttpClient client = new();
        Assert.Contains("vllm:generation_tokens_total", await client.GetStringAsync(new Uri(http + "/metrics"), Cancellation), StringComparison.Ordinal);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task Sigterm_lets_a_running_stream_finish_and_refuses_new_ones()
    {
        using ModelServeProcess server = ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0");
        (string grpc, _) = await ReadyAsync(server);
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        ModelServeClient client = new(channel);
        ChatRequest request = Question();
        request.Options = new GenerationOptions { Stop = new StopConditions { IgnoreEos = true, MaxTokens = 1500 } };
        bool signalled = false;
        int tokens = 0;
        V1.FinishReason reason = V1.FinishReason.Unspecified;
        await foreach (GenerationEvent message in client.ChatAsync(request, cancellationToken: Cancellation))
        {
            tokens += message.Tokens?.TokenIds.Count ?? 0;
            reason = message.Finished?.Reason ?? reason;
            if (tokens > 0 && !signalled)
            {
                signalled = true;
                server.Terminate();
                await server.WaitForErrorTextAsync("refusing new requests", Cancellation);
                RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => client.ChatOnceAsync(Question(), cancellationToken: Cancellation));
                Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
            }
        }

        Assert.Equal((1500, V1.FinishReason.Length), (tokens, reason));
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public Task A_second_sigterm_ends_the_running_stream_with_its_terminal_event() =>
        // The stream lasts as long as its context: where this process stood still meanwhile, it has ended by itself.
        StopTests.WhileTheMachineGoesAsync(SignalTwiceAsync);

    private static async Task SignalTwiceAsync()
    {
        using ModelServeProcess server = ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--drain-timeout", "600");
        (string grpc, _) = await ReadyAsync(server);
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        ChatRequest request = Question();
        request.Options = new GenerationOptions { Stop = new StopConditions { IgnoreEos = true } };
        int signals = 0;
        ModelServeException ended = await Assert.ThrowsAsync<ModelServeException>(async () =>
        {
            await foreach (GenerationEvent message in new ModelServeClient(channel).ChatAsync(request, cancellationToken: Cancellation))
            {
                if (message.Tokens is not null && signals < 2)
                {
                    server.Terminate();
                    if (signals++ == 0)
                    {
                        await server.WaitForErrorTextAsync("refusing new requests", Cancellation);
                    }
                }
            }
        });
        Assert.Equal(ErrorCode.Drained, ended.Code);
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task Two_models_in_one_process_answer_by_name()
    {
        using ModelServeProcess server = ModelServeProcess.Start(
            "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--model", "strong=tiny-mini", "--model", "cheap=tiny-nano", "--kv-memory", "16MiB", "--max-running", "4");
        (string grpc, _) = await ReadyAsync(server);
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        ModelServeClient client = new(channel);
        IReadOnlyList<Model> models = await client.ListModelsAsync(Cancellation);
        Assert.Equal(["strong", "cheap"], models.Select(model => model.Name));
        foreach (string name in new[] { "strong", "cheap" })
        {
            ChatRequest request = Question();
            request.Model = name;
            GenerationResult result = await client.ChatOnceAsync(request, cancellationToken: Cancellation);
            Assert.Equal(name, result.Accepted.Model);
            Assert.Matches("^[0-9]+$", result.Output.Text);
        }

        RpcException unnamed = await Assert.ThrowsAnyAsync<RpcException>(() => client.ChatOnceAsync(Question(), cancellationToken: Cancellation));
        Assert.Equal(StatusCode.InvalidArgument, unnamed.StatusCode);
    }

    [Fact]
    public async Task A_port_in_use_is_told_in_one_line()
    {
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();
        string address = taken.LocalEndpoint.ToString()!;
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--grpc", address, "--http", "127.0.0.1:0");
        Assert.Equal(1, code);
        Assert.Contains(address, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    private static ChatRequest Question() => new() { Messages = { new V1.ChatMessage { Role = "user", Content = "What is 27 + 58?" } } };

    private static async Task<(string Grpc, string Http)> ReadyAsync(ModelServeProcess server)
    {
        Match line = ReadyLine().Match(await server.WaitForErrorTextAsync("ready: ", Cancellation));
        return (line.Groups["grpc"].Value, line.Groups["http"].Value);
    }

    [GeneratedRegex(@"gRPC (?<grpc>http://[^,\s]+), HTTP (?<http>http://\S+)")]
    private static partial Regex ReadyLine();
}
