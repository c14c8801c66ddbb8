using Microsoft.Extensions.AI;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using Xunit;

namespace ModelServe.Api.Tests.Client;

public sealed class ModelServeChatClientTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_conversation_is_answered_with_usage_and_finish_reason()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Hello there.");
        using var client = new ModelServeChatClient(server.Client, WireServer.Model);
        ChatResponse response = await client.GetResponseAsync(
            [new(ChatRole.System, "be kind"), new(ChatRole.User, "hi")], new ChatOptions { MaxOutputTokens = 40, Temperature = 0 }, Token);

        Assert.Equal("Hello there.", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(13, response.Usage!.OutputTokenCount);
        Assert.Equal(WireServer.Model, response.ModelId);
        Assert.Equal(ChatRole.Assistant, Assert.Single(response.Messages).Role);
    }

    [Fact]
    public async Task Options_reach_the_server()
    {
        await using WireServer server = await StartAsync();
        using var client = new ModelServeChatClient(server.Client);
        var options = new ChatOptions
        {
            MaxOutputTokens = 7,
            Temperature = 0.25f,
            TopP = 0.5f,
            TopK = 3,
            Seed = 11,
            FrequencyPenalty = 0.5f,
            PresencePenalty = -0.5f,
            StopSequences = ["###"],
        };
        var updates = new List<ChatResponseUpdate>();
        await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync([new(ChatRole.User, "hi")], options, Token))
        {
            updates.Add(update);
        }

        Assert.Equal(ChatFinishReason.Length, updates[^1].FinishReason);
        UsageContent usage = Assert.IsType<UsageContent>(Assert.Single(updates[^1].Contents));
        Assert.Equal(7, usage.Details.OutputTokenCount);

        options.TopP = 7;
        Grpc.Core.RpcException exception = await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(
            () => client.GetResponseAsync([new(ChatRole.User, "hi")], options, Token));
        Assert.Contains("options.sampling.top_p", exception.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_server_does_not_offer_is_refused_before_it_is_asked()
    {
        await using WireServer server = await StartAsync();
        using var client = new ModelServeChatClient(server.Client);
        await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync(
            [new(ChatRole.User, "hi")], new ChatOptions { Tools = [new HostedWebSearchTool()] }, Token));
        await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync(
            [new(ChatRole.User, [new DataContent("data:image/png;base64,AAAA")])], null, Token));
    }
}
