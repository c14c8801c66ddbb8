using System.Collections.Concurrent;
using System.Diagnostics.Tracing;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Security;

/// <summary>What the server does not do: write prompts down, call out, or let one client take all.</summary>
public sealed class DiscretionTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Canary = "kanarienvogel";

    [Fact]
    public async Task No_log_event_at_any_level_shows_prompt_output_or_key()
    {
        using var log = new Recorder();
        using var keys = new KeyFile();
        await using WireServer server = await WireServer.StartAsync(
            Checkpoint, keys.Options(), services => services.AddLogging(logging => logging.AddProvider(log).SetMinimumLevel(LogLevel.Trace)));
        server.Fake.Writes(Canary + "-out");
        Metadata headers = new() { { "authorization", "Bearer " + KeyFile.User } };
        await server.Inference.GenerateUnaryAsync(Prompt(32, text: Canary), headers, cancellationToken: Token);
        await server.Inference.ChatUnaryAsync(Conversation(("user", Canary)), headers, cancellationToken: Token);
        await server.Inference.TokenizeAsync(new TokenizeRequest { Text = Canary }, headers, cancellationToken: Token);
        await Assert.ThrowsAsync<RpcException>(async () => await server.Inference.GenerateUnaryAsync(
            Prompt(32, options => options.Priority = 5000, Canary), headers, cancellationToken: Token));
        foreach (string body in new[] { $$"""{"model":"fake","prompt":"{{Canary}}"}""", $$"""{"model":"fake","prompt":"{{Canary}}","n":-1}""", "{" + Canary })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative));
            request.Headers.Add("authorization", "Bearer " + KeyFile.User);
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            using HttpResponseMessage answer = await server.Http.SendAsync(request, Token);
        }

        server.Fake.Failure = "a device that failed";
        await Assert.ThrowsAsync<RpcException>(async () =>
            await server.Inference.GenerateUnaryAsync(Prompt(32, text: Canary), headers, cancellationToken: Token));
        await server.QuiesceAsync();
        Assert.NotEmpty(log.Lines);
        string ids = string.Join(", ", Canary.Take(6).Select(letter => (int)letter));
        Assert.DoesNotContain(log.Lines, line => line.Contains(Canary, StringComparison.OrdinalIgnoreCase)
            || line.Contains(KeyFile.User, StringComparison.Ordinal) || line.Contains(ids, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_server_calls_nobody()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string bait = $"http://{listener.LocalEndpoint}/";
        using var connects = new Connects();
        await using WireServer server = await StartAsync();
        await server.Client.ChatOnceAsync(Conversation(("user", $"![see]({bait})")), cancellationToken: Token);
        using var request = new StringContent(
            $$$"""{"model":"fake","max_tokens":4,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"{{{bait}}}"}}]}]}""",
            Encoding.UTF8, "application/json");
        using HttpResponseMessage answer = await server.Http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), request, Token);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.False(listener.Pending());
        // Other tests of this process connect too, all of them to this machine.
        Assert.NotEmpty(connects.Addresses);
        Assert.All(connects.Addresses, address => Assert.Contains("127, 0, 0, 1", address.Replace(",", ", ", StringComparison.Ordinal).Replace("  ", " ", StringComparison.Ordinal), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Every_limit_of_the_ports_is_set()
    {
        await using WireServer server = await StartAsync();
        KestrelServerLimits limits = server.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;
        Assert.Equal(16 * 1024, limits.MaxConcurrentConnections);
        Assert.Equal(32 * 1024, limits.MaxRequestHeadersTotalSize);
        Assert.Equal(100, limits.MaxRequestHeaderCount);
        Assert.Equal(8 * 1024, limits.MaxRequestLineSize);
        Assert.Equal(8 * 1024 * 1024, limits.MaxRequestBodySize);
        Assert.Equal(TimeSpan.FromSeconds(15), limits.RequestHeadersTimeout);
        Assert.Equal(TimeSpan.FromSeconds(130), limits.KeepAliveTimeout);
        Assert.Equal(4096, limits.Http2.MaxStreamsPerConnection);
        Assert.Equal(32 * 1024, limits.Http2.MaxRequestHeaderFieldSize);
        Assert.Equal(TimeSpan.FromSeconds(10), limits.Http2.KeepAlivePingDelay);
        Assert.Equal(TimeSpan.FromSeconds(10), limits.Http2.KeepAlivePingTimeout);
        Assert.NotNull(limits.MinRequestBodyDataRate);
    }

    [Fact]
    public async Task Headers_beyond_the_limit_are_refused_and_the_server_goes_on()
    {
        await using WireServer server = await StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/health", UriKind.Relative));
        request.Headers.Add("x-large", new string('x', 40_000));
        using HttpResponseMessage answer = await server.Http.SendAsync(request, Token);
        Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, answer.StatusCode);
        using HttpResponseMessage after = await server.Http.GetAsync(new Uri("/health", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }

    private sealed class Recorder : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            Lines.Enqueue(state.ToString() ?? string.Empty);
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue(formatter(state, exception) + exception);

        public void Dispose()
        {
        }
    }

    private sealed class Connects : EventListener
    {
        public ConcurrentQueue<string> Addresses { get; } = new();

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name == "System.Net.Sockets")
            {
                EnableEvents(eventSource, EventLevel.Informational);
            }
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (eventData.EventName == "ConnectStart" && eventData.Payload?[0] is string address)
            {
                Addresses?.Enqueue(address);
            }
        }
    }
}
