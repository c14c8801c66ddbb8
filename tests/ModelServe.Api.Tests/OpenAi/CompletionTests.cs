using System.Net;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

public sealed class CompletionTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    [Theory]
    [InlineData("\"hello\\n\"", 1)]
    [InlineData("[\"a\\n\",\"b\\n\"]", 2)]
    [InlineData("[104,105,10]", 1)]
    [InlineData("[[104,10],[105,10],[106,10]]", 3)]
    public async Task A_prompt_may_be_text_or_ids_or_lists_of_them(string prompt, int count)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ok");
        JsonElement answer = await AnswerAsync(server, Texts, $"{{\"prompt\":{prompt},\"max_tokens\":8,\"n\":2}}");
        Assert.Equal("text_completion", answer.GetProperty("object").GetString());
        Assert.Equal(Enumerable.Range(0, count * 2), answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.All(answer.GetProperty("choices").EnumerateArray(), choice => Assert.Equal("ok", choice.GetProperty("text").GetString()));
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task An_echoed_prompt_stands_before_the_text()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("!");
        JsonElement answer = await AnswerAsync(server, Texts, Text(",\"echo\":true"));
        Assert.Equal("hi!", answer.GetProperty("choices")[0].GetProperty("text").GetString());
        List<JsonElement> chunks = await EventsAsync(server, Texts, Text(",\"echo\":true,\"stream\":true"));
        Assert.Equal("hi!", string.Concat(chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("text").GetString())));
    }

    [Fact]
    public async Task Log_probabilities_are_four_lists()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        JsonElement answer = await AnswerAsync(server, Texts, Text(",\"logprobs\":2"));
        JsonElement logprobs = answer.GetProperty("choices")[0].GetProperty("logprobs");
        Assert.Equal(["a", "b", "c"], logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()));
        Assert.Equal([0, 1, 2], logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        Assert.Equal(3, logprobs.GetProperty("token_logprobs").GetArrayLength());
        Assert.All(logprobs.GetProperty("top_logprobs").EnumerateArray(), top => Assert.InRange(top.EnumerateObject().Count(), 1, 2));
    }

    [Theory]
    [InlineData(",\"stop\":\"STOP\"", "one ", "stop")]
    [InlineData(",\"stop\":[\"x\",\"STOP\"],\"include_stop_str_in_output\":true", "one STOP", "stop")]
    [InlineData(",\"stop_token_ids\":[83]", "one ", "stop")]
    [InlineData(",\"max_completion_tokens\":64,\"stop\":\"TOP\",\"min_tokens\":20", "one STOP two", "stop")]
    [InlineData(",\"logit_bias\":{\"65\":1},\"top_k\":-1,\"min_p\":0,\"repetition_penalty\":1,\"seed\":-3,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":false,\"stop\":null", "one STOP two", "stop")]
    public async Task Fields_do_what_they_say(string further, string text, string reason)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("one STOP two");
        JsonElement answer = await AnswerAsync(server, Texts, Text(further));
        Assert.Equal(text, answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal(reason, answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Either_all_outputs_are_admitted_or_none()
    {
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 3 });
        await using WireServer server = await StartAsync(null, fake);
        fake.Hold();
        using HttpResponseMessage response = await PostAsync(server, Texts, Text(",\"n\":8"));
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter?.Delta);
        fake.Release();
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Models_versions_and_unknown_paths_answer_in_the_dialect()
    {
        await using WireServer server = await StartAsync();
        using HttpResponseMessage list = await server.Http.GetAsync(new Uri("/v1/models", UriKind.Relative), Token);
        Assert.Equal("fake", (await JsonAsync(list)).GetProperty("data")[0].GetProperty("id").GetString());
        using HttpResponseMessage one = await server.Http.GetAsync(new Uri("/v1/models/fake", UriKind.Relative), Token);
        Assert.Equal(512, (await JsonAsync(one)).GetProperty("max_model_len").GetInt32());
        using HttpResponseMessage none = await server.Http.GetAsync(new Uri("/v1/models/none", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        Assert.Equal("model_not_found", (await JsonAsync(none)).GetProperty("error").GetProperty("code").GetString());
        using HttpResponseMessage unknown = await server.Http.GetAsync(new Uri("/v1/nothing", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("unknown_url", (await JsonAsync(unknown)).GetProperty("error").GetProperty("code").GetString());
        using HttpResponseMessage method = await server.Http.GetAsync(new Uri(Chats, UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, method.StatusCode);
        Assert.Equal(["POST"], method.Content.Headers.Allow);
    }

    [Fact]
    public async Task A_call_keeps_the_name_that_its_client_gave_it()
    {
        await using WireServer server = await StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("x-request-id", "mine-1");
        using HttpResponseMessage response = await server.Http.SendAsync(request, Token);
        Assert.Equal("mine-1", response.Headers.GetValues("x-request-id").Single());
        using HttpResponseMessage other = await server.Http.GetAsync(new Uri("/v1/models", UriKind.Relative), Token);
        Assert.Equal(32, other.Headers.GetValues("x-request-id").Single().Length);
    }
}
