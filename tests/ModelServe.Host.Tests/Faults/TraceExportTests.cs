using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>The process sends spans to the collector that it was told of, and to nobody when it was told of none.</summary>
public sealed class TraceExportTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Spans_reach_the_named_collector_without_a_word_of_the_prompt()
    {
        await using Collector collector = await Collector.StartAsync();
        using ModelServeProcess server = StopTests.Start("--otlp-endpoint", collector.Address);
        (string grpc, _) = await StopTests.ReadyAsync(server);
        using GrpcChannel channel = GrpcChannel.ForAddress(grpc);
        byte[] trace = Convert.FromHexString("4bf92f3577b34da6a3ce929d0e0e4736");
        await new Inference.InferenceClient(channel).ChatUnaryAsync(
            StopTests.Question(),
            new CallOptions(new Metadata { { "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" } }, cancellationToken: Cancellation));
        // The last batch goes out when the process ends.
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));

        byte[] body = Assert.Single(collector.Bodies);
        string text = Encoding.Latin1.GetString(body);
        Assert.Contains("chat tiny-mini", text, StringComparison.Ordinal);
        Assert.Contains("gen_ai.usage.output_tokens", text, StringComparison.Ordinal);
        Assert.True(body.AsSpan().IndexOf(trace) > 0, "the trace is the caller's");
        Assert.DoesNotContain("27 + 58", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("ftp://127.0.0.1:1")]
    public async Task An_address_that_is_no_collector_is_refused_by_name(string address)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--otlp-endpoint", address);
        Assert.NotEqual(0, code);
        Assert.Contains("--otlp-endpoint", errors, StringComparison.Ordinal);
    }

    /// <summary>An OpenTelemetry collector as far as its trace export goes.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly WebApplication _application;

        private Collector(WebApplication application) => _application = application;

        public string Address => _application.Urls.First();

        public ConcurrentQueue<byte[]> Bodies { get; } = new();

        public static async Task<Collector> StartAsync()
        {
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, port => port.Protocols = HttpProtocols.Http2));
            WebApplication application = builder.Build();
            var collector = new Collector(application);
            application.MapPost("/opentelemetry.proto.collector.trace.v1.TraceService/Export", collector.TakeAsync);
            await application.StartAsync(Cancellation);
            return collector;
        }

        public ValueTask DisposeAsync() => _application.DisposeAsync();

        private async Task TakeAsync(HttpContext context)
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, Cancellation);
            Bodies.Enqueue(body.ToArray());
            context.Response.ContentType = "application/grpc";
            // An empty ExportTraceServiceResponse, and OK.
            await context.Response.Body.WriteAsync(new byte[5], Cancellation);
            context.Response.AppendTrailer("grpc-status", "0");
        }
    }
}
