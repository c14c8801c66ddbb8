using System.Globalization;
using System.Text;
using System.Text.Json;
using ModelServe.Api.Requests;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Simulation;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Log probabilities of prompts in the HTTP dialect: the echo of completions, and vLLM's list.</summary>
public sealed class PromptLogprobTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private static readonly int[] Hi = ['h', 'i', SyntheticCheckpoint.Begin];

    [Fact]
    public async Task An_echoed_prompt_has_log_probabilities_as_its_output_has()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        JsonElement choice = (await AnswerAsync(server, Texts, Text(",\"echo\":true,\"logprobs\":2"))).GetProperty("choices")[0];
        Assert.Equal("hiabc", choice.GetProperty("text").GetString());
        JsonElement logprobs = choice.GetProperty("logprobs");
        Assert.Equal(["h", "i", "<|begin|>", "a", "b", "c"], Strings(logprobs, "tokens"));
        Assert.Equal([0, 1, 2, 2, 3, 4], Offsets(logprobs));
        Assert.Equal([null, Of(Hi, 1), Of(Hi, 2)], Numbers(logprobs)[..3]);
        Assert.Equal(6, Numbers(logprobs).Length);
        Assert.Equal([-1, 2, 2, 2, 2, 2], logprobs.GetProperty("top_logprobs").EnumerateArray()
            .Select(top => top.ValueKind == JsonValueKind.Null ? -1 : top.EnumerateObject().Count()));
        Assert.False(choice.TryGetProperty("prompt_logprobs", out _));
    }

    [Fact]
    public async Task A_prompt_is_scored_without_a_token_and_as_evaluation_harnesses_ask()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        string body = $"{{\"model\":\"fake\",\"prompt\":[[104,105,{SyntheticCheckpoint.Begin}],[106,105]],\"echo\":true,\"logprobs\":1,\"seed\":1234,\"temperature\":0";
        foreach (int tokens in new[] { 0, 1 })
        {
            JsonElement answer = await AnswerAsync(server, Texts, $"{body},\"max_tokens\":{tokens}}}");
            foreach ((JsonElement choice, int[] prompt) in answer.GetProperty("choices").EnumerateArray().Zip([Hi, ['j', 'i']]))
            {
                Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
                float?[] numbers = Numbers(choice.GetProperty("logprobs"));
                Assert.Equal(prompt.Length + tokens, numbers.Length);
                Assert.Equal([null, .. Enumerable.Range(1, prompt.Length - 1).Select(i => Of(prompt, i))], numbers[..prompt.Length]);

                // Whether the continuation is the likeliest one: its number is the greatest of the alternatives'.
                JsonElement[] tops = [.. choice.GetProperty("logprobs").GetProperty("top_logprobs").EnumerateArray()];
                Assert.Equal(numbers[1], tops[1].EnumerateObject().Max(top => top.Value.GetSingle()));
            }

            Assert.Equal(5, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
            Assert.Equal(2 * tokens, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        }

        JsonElement plain = await AnswerAsync(server, Texts, Text(",\"echo\":true").Replace("64", "0", StringComparison.Ordinal));
        Assert.Equal("hi", plain.GetProperty("choices")[0].GetProperty("text").GetString());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Offsets_count_characters_however_many_tokens_they_take()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("🙂!");
        int[] prompt = [.. Encoding.UTF8.GetBytes("é日🙂x\n")];
        JsonElement choice = (await AnswerAsync(
            server, Texts, $"{{\"prompt\":[{string.Join(',', prompt)}],\"max_tokens\":16,\"echo\":true,\"logprobs\":0}}")).GetProperty("choices")[0];
        Assert.Equal("é日🙂x\n🙂!", choice.GetProperty("text").GetString());
        Assert.Equal([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, 5, 5, 5, 6], Offsets(choice.GetProperty("logprobs")));
    }

    [Theory]
    [InlineData(",\"echo\":true,\"logprobs\":1")]
    [InlineData(",\"echo\":true,\"logprobs\":1,\"max_tokens\":0")]
    [InlineData(",\"echo\":true,\"logprobs\":1,\"prompt_logprobs\":3")]
    [InlineData(",\"echo\":true,\"prompt_logprobs\":0")]
    [InlineData(",\"prompt_logprobs\":2,\"logprobs\":2")]
    [InlineData(",\"prompt_logprobs\":2,\"max_tokens\":0")]
    public async Task A_stream_says_the_same_as_a_whole_answer_and_the_prompts_part_once_for_each_choice(string further)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        string body = $"{{\"prompt\":[[104,105,{SyntheticCheckpoint.Begin}],[107,10]],\"n\":2{further}}}";
        JsonElement whole = await AnswerAsync(server, Texts, body);
        Assert.Equal(3, server.Fake.ScoredTokens);
        List<JsonElement> chunks = await EventsAsync(server, Texts, body[..^1] + ",\"stream\":true}");
        Assert.Equal(6, server.Fake.ScoredTokens);
        for (int index = 0; index < 4; index++)
        {
            JsonElement expected = whole.GetProperty("choices")[index];
            JsonElement[] parts = [.. chunks.Select(chunk => chunk.GetProperty("choices")[0]).Where(choice => choice.GetProperty("index").GetInt32() == index)];
            Assert.Equal(expected.GetProperty("text").GetString(), string.Concat(parts.Select(part => part.GetProperty("text").GetString())));
            JsonElement[] lists = [.. parts.Select(part => part.GetProperty("logprobs")).Where(list => list.ValueKind == JsonValueKind.Object)];
            JsonElement all = expected.GetProperty("logprobs");
            Assert.Equal(all.ValueKind == JsonValueKind.Object ? Offsets(all) : [], lists.SelectMany(Offsets));
            Assert.Equal(all.ValueKind == JsonValueKind.Object ? Numbers(all) : [], lists.SelectMany(Numbers));
            JsonElement[] listed = [.. parts.Where(part => part.TryGetProperty("prompt_logprobs", out _))];
            Assert.Equal(further.Contains("prompt_logprobs", StringComparison.Ordinal) ? 1 : 0, listed.Length);
            Assert.All(listed, part =>
                Assert.Equal(expected.GetProperty("prompt_logprobs").GetRawText(), part.GetProperty("prompt_logprobs").GetRawText()));
        }

        await server.QuiesceAsync();
    }

    [Fact]
    public async Task The_list_has_the_token_itself_first_with_rank_and_text_and_then_the_likeliest()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("abc");
        JsonElement list = (await AnswerAsync(server, Texts, Text(",\"prompt_logprobs\":3"))).GetProperty("choices")[0].GetProperty("prompt_logprobs");
        Assert.Equal(3, list.GetArrayLength());
        Assert.Equal(JsonValueKind.Null, list[0].ValueKind);
        JsonProperty[] entries = [.. list[1].EnumerateObject()];
        Assert.Equal(["105", "106", "107"], entries.Select(entry => entry.Name));
        Assert.Equal([106, 2, 3], entries.Select(entry => entry.Value.GetProperty("rank").GetInt32()));
        Assert.Equal(["i", "j", "k"], entries.Select(entry => entry.Value.GetProperty("decoded_token").GetString()));
        Assert.Equal(
            [Of(Hi, 1), Of(Hi, 1) - 1, Of(Hi, 1) - 2], entries.Select(entry => (float?)entry.Value.GetProperty("logprob").GetSingle()));
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"max_tokens\":0")]
    public async Task A_chat_has_the_list_beside_its_choices_and_its_stream_once_before_the_answer(string further)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("hey");
        string body = "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"n\":2,\"prompt_logprobs\":1" + further + "}";
        JsonElement whole = await AnswerAsync(server, Chats, body);
        JsonElement list = whole.GetProperty("prompt_logprobs");
        Assert.Equal(whole.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), list.GetArrayLength());
        Assert.Equal(list.GetArrayLength() - 1, server.Fake.ScoredTokens);
        List<JsonElement> chunks = await EventsAsync(server, Chats, body[..^1] + ",\"stream\":true}");
        JsonElement told = Assert.Single(chunks, chunk => chunk.TryGetProperty("prompt_logprobs", out _));
        Assert.Equal(list.GetRawText(), told.GetProperty("prompt_logprobs").GetRawText());
        Assert.Equal(further.Length == 0 ? "hey" : "", ContentOf(chunks));
        Assert.DoesNotContain(
            chunks[..chunks.IndexOf(told)], chunk => chunk.GetProperty("choices")[0].GetProperty("index").GetInt32() == 0 && ContentOf([chunk]).Length > 0);
    }

    [Theory]
    [InlineData("\"prompt\":[104,105,106],\"prompt_logprobs\":4", "prompt_logprobs", "at most 2 prompt tokens with 4 alternatives")]
    [InlineData("\"prompt\":[104,105,106],\"logprobs\":4,\"echo\":true", "logprobs", "at most 2 prompt tokens with 4 alternatives")]
    [InlineData("\"prompt\":[[104,105],[106]],\"prompt_logprobs\":4", "prompt_logprobs", "at most 2 prompt tokens with 4 alternatives")]
    [InlineData("\"prompt\":[104],\"prompt_logprobs\":1000", "prompt_logprobs", "[0, 20]; got 1000")]
    [InlineData("\"prompt\":[104],\"prompt_logprobs\":-1", "prompt_logprobs", "[0, 20]; got -1")]
    [InlineData("\"prompt\":[104],\"max_tokens\":0", "max_tokens", "[1, ")]
    public async Task More_than_an_answer_may_carry_is_refused_with_its_bound(string fields, string param, string part)
    {
        await using WireServer server = await StartAsync(new ApiOptions { Limits = new RequestLimits { PromptLogprobs = 10 } });
        using HttpResponseMessage response = await PostAsync(server, Texts, "{" + fields + "}");
        JsonElement error = (await JsonAsync(response)).GetProperty("error");
        Assert.Equal((400, param), ((int)response.StatusCode, error.GetProperty("param").GetString()));
        Assert.Contains(part, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_while_its_prompt_is_scored_leaves_nothing_behind()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Hold();
        using var leaving = new CancellationTokenSource();
        async Task AskAsync(CancellationToken left)
        {
            using var content = new StringContent(Text(",\"echo\":true,\"logprobs\":1,\"n\":3,\"stream\":true"), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await server.Http.PostAsync(new Uri(Texts, UriKind.Relative), content, left);
        }

        Task asking = AskAsync(leaving.Token);
        await WireServer.EventuallyAsync(() => server.Status.Running + server.Status.Waiting >= 1, "admitted");
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        server.Fake.Release();
        await server.QuiesceAsync();
    }

    private static float? Of(int[] prompt, int token) =>
        float.Parse(FakeScores.LogprobOf(prompt.AsSpan(0, token), prompt[token]).ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    private static IEnumerable<string?> Strings(JsonElement logprobs, string list) =>
        logprobs.GetProperty(list).EnumerateArray().Select(entry => entry.GetString());

    private static IEnumerable<int> Offsets(JsonElement logprobs) =>
        logprobs.GetProperty("text_offset").EnumerateArray().Select(entry => entry.GetInt32());

    private static float?[] Numbers(JsonElement logprobs) =>
        [.. logprobs.GetProperty("token_logprobs").EnumerateArray().Select(entry => entry.ValueKind == JsonValueKind.Null ? (float?)null : entry.GetSingle())];
}
