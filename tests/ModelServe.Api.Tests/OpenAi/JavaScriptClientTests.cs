using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Running;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>The dialect as openai and the AI SDK for JavaScript understand it. Skipped where they are not installed (npm install in tests/oracles/openai-js).</summary>
public sealed class JavaScriptClientTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Call = "<think>hm</think><tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}</tool_call>";

    [Theory]
    [InlineData("stream")]
    [InlineData("sdk-stream")]
    public async Task It_streams_an_answer_with_reason_and_usage(string mode)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße aus 東京 🙂");
        JsonElement seen = await RunAsync(server, mode);
        Assert.Equal("Grüße aus 東京 🙂", seen.GetProperty("text").GetString());
        Assert.Equal("stop", seen.GetProperty("reason").GetString());
        Assert.Equal(JsonValueKind.Object, seen.GetProperty("usage").ValueKind);
    }

    [Fact]
    public async Task It_reads_whole_answers_and_the_list_of_models()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("whole");
        JsonElement seen = await RunAsync(server, "whole");
        Assert.Equal("whole", seen.GetProperty("text").GetString());
        Assert.Equal(5, seen.GetProperty("logprobs").GetInt32());
        Assert.Equal("fake", seen.GetProperty("models")[0].GetString());
    }

    [Fact]
    public async Task It_scores_a_prompt()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ok");
        JsonElement seen = await RunAsync(server, "scored");
        Assert.Equal(("hé\n", "hé\nok"), (seen.GetProperty("text").GetString(), seen.GetProperty("streamed").GetString()));
        JsonElement logprobs = seen.GetProperty("logprobs");
        Assert.Equal([0, 1, 1, 2], logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("token_logprobs")[0].ValueKind);
        Assert.Equal(0, seen.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task It_puts_streamed_calls_together()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes(Call);
        JsonElement seen = await RunAsync(server, "tools");
        JsonElement call = seen.GetProperty("calls")[0].GetProperty("function");
        Assert.Equal("weather", call.GetProperty("name").GetString());
        Assert.Equal("{\"city\": \"Köln\"}", call.GetProperty("arguments").GetString());
        Assert.Equal("tool_calls", seen.GetProperty("reason").GetString());
        JsonElement sdk = await RunAsync(server, "sdk-tools");
        Assert.Equal("Köln", sdk.GetProperty("calls")[0].GetProperty("input").GetProperty("city").GetString());
        Assert.Equal("hm", sdk.GetProperty("reasoning").GetString());
        Assert.Equal("tool-calls", sdk.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task It_requires_calls_and_reads_them()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("<tool_call>" + new string('!', 150));
        JsonElement seen = await RunAsync(server, "required");
        Assert.Equal(["tool_calls", "stop", "tool_calls"], seen.EnumerateArray().Select(one => one.GetProperty("reason").GetString()));
        Assert.All(seen.EnumerateArray(), one =>
        {
            Assert.Equal(1, one.GetProperty("calls").GetInt32());
            Assert.Contains(one.GetProperty("arguments").GetProperty("city").GetString(), (string?[])["Bonn", "Ulm"]);
        });
        fake.Writes(Call["<think>hm</think>".Length..]);
        JsonElement sdk = await RunAsync(server, "sdk-required");
        Assert.Equal("tool-calls", sdk.GetProperty("reason").GetString());
        Assert.All(sdk.GetProperty("calls").EnumerateArray(), city => Assert.Contains(city.GetString(), (string?[])["Bonn", "Ulm"]));
        await server.QuiesceAsync();
    }

    [Theory]
    [InlineData("bad-field", "BadRequestError", 400, "temperature")]
    [InlineData("no-model", "NotFoundError", 404, "model")]
    public async Task It_is_refused_once_with_the_class_of_the_status(string mode, string error, int status, string param)
    {
        await using WireServer server = await StartAsync();
        JsonElement seen = await RunAsync(server, mode);
        Assert.Equal(error, seen.GetProperty("error").GetString());
        Assert.Equal(status, seen.GetProperty("status").GetInt32());
        Assert.Equal(param, seen.GetProperty("param").GetString());
        Assert.Equal(1, seen.GetProperty("calls").GetInt32());
    }

    [Fact]
    public async Task It_retries_an_overloaded_server_when_it_is_told_to()
    {
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 1 });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        Task<HttpResponseMessage> first = PostAsync(server, Chats, Chat());
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one running");
        Task<HttpResponseMessage> second = PostAsync(server, Chats, Chat());
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "one waiting");
        JsonElement seen = await RunAsync(server, "overload");
        Assert.Equal("RateLimitError", seen.GetProperty("error").GetString());
        Assert.Equal(2, seen.GetProperty("calls").GetInt32());
        Assert.InRange(seen.GetProperty("seconds").GetDouble(), 0.95, 20);
        fake.Release();
        (await first).Dispose();
        (await second).Dispose();
    }

    [Fact]
    public async Task It_is_told_of_a_failure_in_mid_stream()
    {
        using var fake = new FakeModel { Failure = "planted" };
        await using WireServer server = await StartAsync(null, fake);
        JsonElement seen = await RunAsync(server, "failure");
        Assert.Equal("APIError", seen.GetProperty("error").GetString());
    }

    private static Task<JsonElement> RunAsync(WireServer server, string mode) =>
        ForeignProcess.NodeAsync("openai-js", "openai", ["client.mjs", server.HttpAddress.AbsoluteUri.TrimEnd('/'), mode]);
}
