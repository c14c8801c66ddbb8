using System.Net;
using System.Text;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

public sealed class SseTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Stream = ",\"stream\":true";

    [Fact]
    public async Task A_stream_begins_with_the_role_and_ends_with_one_reason()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße\t\"🙂\"");
        List<JsonElement> chunks = await EventsAsync(server, Chats, Chat(Stream));
        Assert.Equal("assistant", chunks[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", chunk.GetProperty("object").GetString()));
        Assert.All(chunks, chunk => Assert.False(chunk.TryGetProperty("usage", out _)));
        Assert.Equal("Grüße\t\"🙂\"", ContentOf(chunks));
        Assert.Equal("stop", FinishOf(chunks));
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Usage_comes_last_with_no_choices_when_asked_for()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        List<JsonElement> chunks = await EventsAsync(server, Chats, Chat(Stream + ",\"stream_options\":{\"include_usage\":true}"));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(4, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.All(chunks[..^1], chunk => Assert.Equal(JsonValueKind.Null, chunk.GetProperty("usage").ValueKind));
    }

    [Fact]
    public async Task Continuous_usage_comes_with_every_chunk()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        List<JsonElement> chunks = await EventsAsync(server, Chats, Chat(Stream + ",\"stream_options\":{\"continuous_usage_stats\":true}"));
        Assert.All(chunks, chunk => Assert.True(chunk.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 0));
    }

    [Fact]
    public async Task Several_choices_share_one_stream()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("the same");
        List<JsonElement> chunks = await EventsAsync(server, Chats, Chat(Stream + ",\"n\":4"));
        Assert.All(Enumerable.Range(0, 4), index => Assert.Equal("the same", ContentOf(chunks, "content", index)));
        Assert.All(Enumerable.Range(0, 4), index => Assert.Equal("stop", FinishOf(chunks, index)));
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Calls_stream_as_name_then_arguments()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes"), StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("<think>hm</think><tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>");
        List<JsonElement> chunks = await EventsAsync(
            server, Chats, Chat(Stream + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]").Replace("64", "200", StringComparison.Ordinal));
        JsonElement[] calls =
        [
            .. chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
                .Where(choice => choice.GetProperty("delta").TryGetProperty("tool_calls", out _))
                .SelectMany(choice => choice.GetProperty("delta").GetProperty("tool_calls").EnumerateArray()),
        ];
        Assert.Equal("hm", ContentOf(chunks, "reasoning_content"));
        Assert.Equal("f", calls[0].GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("function", calls[0].GetProperty("type").GetString());
        Assert.Equal("{\"a\": 1}", string.Concat(calls.Select(call => call.GetProperty("function").GetProperty("arguments").GetString())));
        Assert.Equal("tool_calls", FinishOf(chunks));
    }

    [Fact]
    public async Task A_failure_in_mid_stream_is_an_error_event_and_a_broken_connection()
    {
        using var fake = new FakeModel();
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        using HttpResponseMessage response = await SendAsync(server, Chat(Stream));
        await using Stream body = await response.Content.ReadAsStreamAsync(Token);
        using var reader = new StreamReader(body);
        Assert.StartsWith("data: {", await reader.ReadLineAsync(Token), StringComparison.Ordinal);
        fake.Failure = "planted at /some/path.cs";
        fake.Release();
        var rest = new StringBuilder();
        Exception? broken = await Record.ExceptionAsync(async () =>
        {
            while (await reader.ReadLineAsync(Token) is { } line)
            {
                rest.AppendLine(line);
            }
        });
        Assert.IsAssignableFrom<IOException>(broken);
        Assert.Contains("\"error\":{", rest.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("planted", rest.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", rest.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_frees_its_request()
    {
        using var fake = new FakeModel { StepTime = FakeModel.Slow };
        await using WireServer server = await StartAsync(null, fake);
        using (HttpResponseMessage response = await SendAsync(server, Chat(Stream + ",\"n\":3").Replace("64", "300", StringComparison.Ordinal)))
        {
            await WireServer.EventuallyAsync(() => server.Status.Running == 3, "three running");
        }

        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Silence_is_broken_by_a_comment_after_fifteen_seconds()
    {
        var time = new SteppedClock();
        using var fake = new FakeModel();
        await using WireServer server = await StartAsync(time, new ApiOptions { StepLimit = TimeSpan.FromHours(1) }, fake);
        fake.Hold();
        using HttpResponseMessage response = await SendAsync(server, Chat(Stream));
        await using Stream body = await response.Content.ReadAsStreamAsync(Token);
        using var reader = new StreamReader(body);
        Assert.StartsWith("data: {", await reader.ReadLineAsync(Token), StringComparison.Ordinal);
        Assert.Equal(string.Empty, await reader.ReadLineAsync(Token));
        for (int beats = 0; beats < 3; beats++)
        {
            Task<string?> line = reader.ReadLineAsync(Token).AsTask();
            time.Advance(TimeSpan.FromSeconds(14.9));
            // Later where the write before was still on its way, which is no silence.
            await time.AdvanceUntilAsync(TimeSpan.FromSeconds(0.1), () => line.IsCompleted, "a sign of life");
            Assert.StartsWith(":", await line, StringComparison.Ordinal);
            Assert.Equal(string.Empty, await reader.ReadLineAsync(Token));
        }

        fake.Release();
        Assert.Contains("[DONE]", await reader.ReadToEndAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Draining_and_full_queues_tell_when_to_come_back()
    {
        await using WireServer server = await StartAsync();
        server.Fake.BeginDrain();
        using HttpResponseMessage response = await PostAsync(server, Chats, Chat(Stream));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter?.Delta);
        Assert.True(int.Parse(response.Headers.GetValues("retry-after-ms").Single(), System.Globalization.CultureInfo.InvariantCulture) > 0);
        Assert.Equal("draining", (await JsonAsync(response)).GetProperty("error").GetProperty("code").GetString());
    }

    private static async Task<HttpResponseMessage> SendAsync(WireServer server, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Chats)
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        return await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
    }
}
