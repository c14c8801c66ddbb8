using System.Diagnostics;
using System.Net;
using System.Text;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using OpenTelemetry;
using OpenTelemetry.Trace;
using Xunit;

namespace ModelServe.Api.Tests.Observability;

/// <summary>One span a request, with the GenAI attributes, under the caller's parent, and never a word of a prompt.</summary>
public sealed class TracingTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Parent = "00f067aa0ba902b7";

    [Fact]
    public async Task A_chat_is_a_span_under_its_callers_parent_with_usage_and_times()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("hello");
        using var spans = new Spans();
        ChatRequest request = Conversation(("user", "a secret question"));
        request.Options.RequestId = Id();
        await server.Inference.ChatUnaryAsync(request, Headers($"00-{Trace}-{Parent}-01"));

        Activity span = await spans.OfAsync(request.Options.RequestId);
        Assert.Equal("chat fake", span.DisplayName);
        Assert.Equal(ActivityKind.Server, span.Kind);
        Assert.Equal((Trace, Parent), (span.TraceId.ToString(), span.ParentSpanId.ToString()));
        Assert.Equal("chat", span.GetTagItem("gen_ai.operation.name"));
        Assert.Equal("modelserve", span.GetTagItem("gen_ai.provider.name"));
        Assert.Equal("fake", span.GetTagItem("gen_ai.request.model"));
        Assert.True((int)span.GetTagItem("gen_ai.usage.input_tokens")! > 10);
        Assert.Equal(0, span.GetTagItem("gen_ai.usage.cache_read.input_tokens"));
        Assert.Equal(["stop"], (string[])span.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.True((double)span.GetTagItem("gen_ai.latency.time_to_first_token")! > 0);
        Assert.Equal(ActivityStatusCode.Unset, span.Status);
        Assert.DoesNotContain(span.TagObjects, tag => tag.Value?.ToString()?.Contains("secret", StringComparison.Ordinal) == true);
        Assert.DoesNotContain(span.TagObjects, tag => tag.Value?.ToString()?.Contains("hello", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task A_request_without_a_parent_is_the_root_of_its_trace()
    {
        await using WireServer server = await StartAsync();
        using var spans = new Spans();
        GenerateRequest request = Prompt(set: options => options.RequestId = Id());
        await server.Client.GenerateOnceAsync(request, cancellationToken: Token);
        Activity span = await spans.OfAsync(request.Options.RequestId);
        Assert.Equal("text_completion fake", span.DisplayName);
        Assert.Equal(default, span.ParentSpanId);
        Assert.Equal(16, span.GetTagItem("gen_ai.usage.output_tokens"));
    }

    [Fact]
    public async Task A_caller_that_does_not_sample_is_not_traced()
    {
        await using WireServer server = await StartAsync();
        using var spans = new Spans();
        GenerateRequest silent = Prompt(set: options => options.RequestId = Id());
        await server.Inference.GenerateUnaryAsync(silent, Headers($"00-{Trace}-{Parent}-00"));
        GenerateRequest loud = Prompt(set: options => options.RequestId = Id());
        await server.Inference.GenerateUnaryAsync(loud, Headers($"00-{Trace}-{Parent}-01"));
        await spans.OfAsync(loud.Options.RequestId);
        Assert.False(spans.Has(silent.Options.RequestId));
    }

    [Fact]
    public async Task A_cancelled_request_and_a_refused_one_carry_their_error_type()
    {
        await using WireServer server = await StartAsync();
        using var spans = new Spans();
        server.Fake.Hold();
        GenerateRequest request = Prompt(set: options => options.RequestId = Id());
        using (AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(request, cancellationToken: Token))
        {
            Assert.True(await call.ResponseStream.MoveNext(Token));
            await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(request, cancellationToken: Token));
        }

        Activity[] both = [await spans.OfAsync(request.Options.RequestId), await spans.OfAsync(request.Options.RequestId, 1)];
        Assert.Equal(["Cancelled", "DuplicateRequest"], both.Select(span => (string)span.GetTagItem("error.type")!).Order());
        Assert.All(both, span => Assert.Equal(ActivityStatusCode.Error, span.Status));
        server.Fake.Release();
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_chat_over_HTTP_is_a_span_under_its_callers_parent_too()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("hello");
        using var spans = new Spans();
        string trace = ActivityTraceId.CreateRandom().ToHexString();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative))
        {
            Content = new StringContent("""{"model":"fake","messages":[{"role":"user","content":"a secret question"}]}""", Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("traceparent", $"00-{trace}-{Parent}-01");
        using HttpResponseMessage response = await server.Http.SendAsync(request, Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Activity span = await spans.OfTraceAsync(trace);
        Assert.Equal(("chat fake", Parent), (span.DisplayName, span.ParentSpanId.ToString()));
        Assert.Equal(6, span.GetTagItem("gen_ai.usage.output_tokens"));
        Assert.DoesNotContain(span.TagObjects, tag => tag.Value?.ToString()?.Contains("secret", StringComparison.Ordinal) == true);
    }

    private static string Id() => $"trace-{Guid.NewGuid():N}";

    private static CallOptions Headers(string traceParent) => new(new Metadata { { "traceparent", traceParent } });

    /// <summary>What an exporter gets; tests beside this one export here too, so spans are found by request id.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly List<Activity> _exported = [];
        private readonly TracerProvider _provider;

        public Spans() => _provider = Sdk.CreateTracerProviderBuilder().AddSource("ModelServe").AddInMemoryExporter(_exported).Build();

        public bool Has(string requestId) => All(requestId).Length > 0;

        public async Task<Activity> OfAsync(string requestId, int index = 0)
        {
            await WireServer.EventuallyAsync(() => All(requestId).Length > index, "the span was exported");
            return All(requestId)[index];
        }

        public async Task<Activity> OfTraceAsync(string trace)
        {
            await WireServer.EventuallyAsync(() => Find(span => span.TraceId.ToHexString() == trace).Length > 0, "the span was exported");
            return Find(span => span.TraceId.ToHexString() == trace)[0];
        }

        public void Dispose() => _provider.Dispose();

        private Activity[] All(string requestId) => Find(span => (string?)span.GetTagItem("gen_ai.response.id") == requestId);

        private Activity[] Find(Func<Activity, bool> wanted)
        {
            // The exporter appends on other threads without a lock; a copy that was disturbed is taken again.
            while (true)
            {
                try
                {
                    return [.. _exported.ToArray().Where(span => span is not null && wanted(span))];
                }
                catch (ArgumentException)
                {
                }
            }
        }
    }
}
