using System.Net;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Answers that go on from a beginning that the client gives.</summary>
public sealed class ContinuationTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Begun = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":\"The answer is \"}]";

    [Fact]
    public async Task The_prompt_ends_where_the_last_turn_does_and_the_answer_is_what_follows()
    {
        await using WireServer server = await StartAsync();
        JsonElement ids = await AnswerAsync(server, "/tokenize", "{" + Begun + ",\"continue_final_message\":true}");
        JsonElement text = await AnswerAsync(server, "/detokenize", $"{{\"tokens\":{ids.GetProperty("tokens").GetRawText()}}}");
        Assert.Equal("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nThe answer is ", text.GetProperty("prompt").GetString());

        // The script begins after the last line break: behind the beginning.
        server.Fake.Writes("The answer is 42.");
        JsonElement answer = await AnswerAsync(server, Chats, "{" + Begun + ",\"continue_final_message\":true,\"max_tokens\":40}");
        Assert.Equal("42.", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        await server.QuiesceAsync();
    }

    [Theory]
    [InlineData("\"continue_final_message\":true,\"add_generation_prompt\":true," + Begun)]
    [InlineData("\"continue_final_message\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]")]
    [InlineData("\"continue_final_message\":true,\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]")]
    public async Task It_needs_an_assistants_turn_and_no_new_one(string body)
    {
        await using WireServer server = await StartAsync();
        using HttpResponseMessage refused = await PostAsync(server, Chats, "{" + body + "}");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("continue_final_message", (await JsonAsync(refused)).GetProperty("error").GetProperty("param").GetString());
    }

    [Fact]
    public async Task Over_gRPC_it_is_the_same()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("The answer is 42.");
        ChatRequest request = Conversation(("user", "hello"), ("assistant", "The answer is "));
        request.Chat = new ChatOptions { ContinueFinalMessage = true };
        request.Options.Stop.MaxTokens = 40;
        GenerationResult result = await server.Inference.ChatUnaryAsync(request, cancellationToken: Token);
        Assert.Equal("42.", result.Output.Text);
        request.Chat.AddGenerationPrompt = true;
        Grpc.Core.RpcException refused = await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(async () => await server.Inference.ChatUnaryAsync(request, cancellationToken: Token));
        Assert.Contains("chat.continue_final_message", refused.Status.Detail, StringComparison.Ordinal);
    }
}
