using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Codec.ToolCalls;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

public sealed class ChatAnswerTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Tools =
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"parameters\":{\"type\":\"object\"}}}]";

    private const string Call = "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}</tool_call>";

    [Fact]
    public async Task A_chat_is_answered_with_message_usage_and_reason()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße \"aus\" 東京\t🙂");
        JsonElement answer = await AnswerAsync(server, Chats, Chat());
        JsonElement choice = answer.GetProperty("choices")[0];
        Assert.Equal("chat.completion", answer.GetProperty("object").GetString());
        Assert.StartsWith("chatcmpl-", answer.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("fake", answer.GetProperty("model").GetString());
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.Equal("Grüße \"aus\" 東京\t🙂", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        JsonElement usage = answer.GetProperty("usage");
        int total = usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32();
        Assert.Equal(total, usage.GetProperty("total_tokens").GetInt32());
        Assert.Equal(0, usage.GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_prompt_that_the_cache_has_is_counted_as_cached()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("x");
        string body = Chat().Replace("hello", new string('h', 100), StringComparison.Ordinal);
        await AnswerAsync(server, Chats, body);
        JsonElement answer = await AnswerAsync(server, Chats, body);
        Assert.Equal(112, answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    [Fact]
    public async Task Each_of_several_choices_has_its_index_and_the_prompt_counts_once()
    {
        await using WireServer server = await StartAsync();
        JsonElement answer = await AnswerAsync(server, Chats, Chat(",\"n\":3,\"seed\":7").Replace("64", "5", StringComparison.Ordinal));
        JsonElement single = await AnswerAsync(server, Chats, Chat(",\"seed\":7").Replace("64", "5", StringComparison.Ordinal));
        Assert.Equal([0, 1, 2], answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.Equal(15, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(
            single.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(),
            answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Log_probabilities_come_with_bytes_and_alternatives()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ü");
        JsonElement answer = await AnswerAsync(server, Chats, Chat(",\"logprobs\":true,\"top_logprobs\":2"));
        JsonElement content = answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content");
        Assert.Equal(2, content.GetArrayLength());
        Assert.Equal("\\xc3", content[0].GetProperty("token").GetString());
        Assert.Equal([0xc3], content[0].GetProperty("bytes").EnumerateArray().Select(value => value.GetInt32()));
        Assert.Equal(JsonValueKind.Number, content[0].GetProperty("logprob").ValueKind);
        Assert.Equal(2, content[0].GetProperty("top_logprobs").GetArrayLength());
        Assert.True(content[0].GetProperty("top_logprobs")[0].TryGetProperty("bytes", out _));
    }

    [Fact]
    public async Task Text_parts_are_joined_and_history_with_tool_calls_is_rendered()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ok");
        const string Messages = """
            {"messages":[{"role":"developer","content":"be brief"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"2"}]}
            """;
        JsonElement ids = await AnswerAsync(server, "/tokenize", Messages);
        JsonElement text = await AnswerAsync(server, "/detokenize", $"{{\"tokens\":{ids.GetProperty("tokens").GetRawText()}}}");
        Assert.Equal(
            "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n"
            + "<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n",
            text.GetProperty("prompt").GetString());
        JsonElement answer = await AnswerAsync(server, Chats, Messages);
        Assert.Equal("ok", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Reasoning_and_calls_come_apart_from_the_content()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("<think>hm</think>Let me see. " + Call);
        JsonElement answer = await AnswerAsync(server, Chats, Chat(Tools).Replace("64", "200", StringComparison.Ordinal));
        JsonElement choice = answer.GetProperty("choices")[0];
        JsonElement message = choice.GetProperty("message");
        Assert.Equal("hm", message.GetProperty("reasoning_content").GetString());
        Assert.Equal("Let me see.", message.GetProperty("content").GetString());
        JsonElement call = message.GetProperty("tool_calls")[0];
        Assert.Equal("weather", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("{\"city\": \"Köln\"}", call.GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("<think>hm".Length, answer.GetProperty("usage").GetProperty("completion_tokens_details")
            .GetProperty("reasoning_tokens").GetInt32());
    }

    [Theory]
    [InlineData("")]
    [InlineData(",\"tool_choice\":\"none\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}]")]
    [InlineData(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"other\"}}]")]
    public async Task What_looks_like_a_call_of_no_tool_stays_text(string tools)
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes(Call);
        JsonElement answer = await AnswerAsync(server, Chats, Chat(tools).Replace("64", "200", StringComparison.Ordinal));
        JsonElement choice = answer.GetProperty("choices")[0];
        Assert.Equal(Call, choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Special_tokens_do_not_show_in_parsed_content()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes"), ForcedToken = SyntheticCheckpoint.Begin };
        await using WireServer server = await StartAsync(null, fake);
        JsonElement answer = await AnswerAsync(server, Chats, Chat());
        Assert.Equal(string.Empty, answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Over_gRPC_calls_and_reasoning_come_as_messages()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("<think>hm</think>" + Call);
        ChatRequest request = Conversation(("user", "hello"));
        request.Options.Stop.MaxTokens = 200;
        request.Chat = new ChatOptions();
        request.Chat.Tools.Add(Google.Protobuf.WellKnownTypes.Struct.Parser.ParseJson(
            "{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}"));
        GenerationResult result = await server.Inference.ChatUnaryAsync(request, cancellationToken: Token);
        Assert.Equal("hm", result.Output.Reasoning);
        Assert.Equal(string.Empty, result.Output.Text);
        ToolCallDelta call = Assert.Single(result.Output.ToolCalls);
        Assert.Equal("weather", call.Name);
        Assert.Equal("{\"city\": \"Köln\"}", call.Arguments);
        Assert.Equal(FinishReason.ToolCalls, result.Finished.Reason);
        Assert.InRange(result.Finished.Usage.ReasoningTokens, 2, 17);

        request.Chat.ParseAnswer = false;
        result = await server.Inference.ChatUnaryAsync(request, cancellationToken: Token);
        Assert.Equal("<think>hm</think>" + Call, result.Output.Text);
        Assert.Equal(FinishReason.Stop, result.Finished.Reason);
    }
}
