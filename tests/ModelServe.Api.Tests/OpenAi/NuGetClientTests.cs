using System.ClientModel;
using System.ClientModel.Primitives;
using ModelServe.Api.Tests.Wire;
using ModelServe.Codec.ToolCalls;
using OpenAI;
using OpenAI.Chat;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>The dialect as the official .NET client understands it.</summary>
public sealed class NuGetClientTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private static readonly UserChatMessage[] Hello = [new UserChatMessage("hello")];

    [Fact]
    public async Task It_streams_an_answer_with_reason_and_usage()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße aus 東京 🙂");
        string text = string.Empty;
        ChatFinishReason? reason = null;
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in ClientOf(server).CompleteChatStreamingAsync(Hello, Options(64), Token))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            reason = update.FinishReason ?? reason;
            usage = update.Usage ?? usage;
        }

        Assert.Equal("Grüße aus 東京 🙂", text);
        Assert.Equal(ChatFinishReason.Stop, reason);
        Assert.True(usage?.OutputTokenCount > 10);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task It_reads_calls()
    {
        using var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        await using WireServer server = await StartAsync(null, fake);
        fake.Writes("<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}</tool_call>");
        ChatCompletionOptions options = Options(200);
        options.Tools.Add(ChatTool.CreateFunctionTool("weather"));
        ChatCompletion answer = await ClientOf(server).CompleteChatAsync(Hello, options, Token);
        Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
        Assert.Equal("{\"city\": \"Köln\"}", answer.ToolCalls[0].FunctionArguments.ToString());
    }

    [Fact]
    public async Task It_is_refused_once_with_field_and_code()
    {
        await using WireServer server = await StartAsync();
        ChatCompletionOptions options = Options(64);
        options.Temperature = -1;
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(
            () => ClientOf(server).CompleteChatAsync(Hello, options, Token));
        Assert.Equal(400, refused.Status);
        Assert.Contains("temperature", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_waits_as_long_as_it_is_told_before_it_tries_again()
    {
        await using WireServer server = await StartAsync();
        server.Fake.BeginDrain();
        long start = TimeProvider.System.GetTimestamp();
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(
            () => ClientOf(server, retries: 1).CompleteChatAsync(Hello, Options(64), Token));
        Assert.Equal(503, refused.Status);
        Assert.True(TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromSeconds(0.95));
    }

    [Fact]
    public async Task It_is_told_of_a_failure_in_mid_stream()
    {
        using var fake = new FakeModel { Failure = "planted" };
        await using WireServer server = await StartAsync(null, fake);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in ClientOf(server).CompleteChatStreamingAsync(Hello, Options(64), Token))
            {
                Assert.NotEqual(ChatFinishReason.Stop, update.FinishReason);
            }
        });
    }

    private static ChatCompletionOptions Options(int maxTokens) => new() { MaxOutputTokenCount = maxTokens };

    private static ChatClient ClientOf(WireServer server, int retries = 0, TimeSpan? timeout = null)
    {
        var options = new OpenAIClientOptions
        {
            Endpoint = new Uri(server.HttpAddress, "/v1"),
            RetryPolicy = new ClientRetryPolicy(retries),
            NetworkTimeout = timeout ?? TimeSpan.FromSeconds(60),
        };
        return new ChatClient("fake", new ApiKeyCredential("none"), options);
    }
}
