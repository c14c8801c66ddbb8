using System.ComponentModel;
using System.Text.Json;
using Microsoft.Extensions.AI;
using ModelServe.Api.Tests.Wire;
using ModelServe.Client;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Api.Tests.Client;

/// <summary>Tools, reasoning and forms by way of Microsoft.Extensions.AI.</summary>
public sealed class ChatToolTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Call = "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}}</tool_call>";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_function_is_invoked_and_its_result_answered(bool isStreamed)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("<think>Look outside.</think>One moment." + Call);
        var seen = new List<(string City, int Days)>();
        AIFunction weather = AIFunctionFactory.Create(
            ([Description("where")] string city, int days) =>
            {
                seen.Add((city, days));
                server.Fake.Writes("It will rain.");
                return new { Sky = "grey" };
            },
            "weather");
        using IChatClient client = new ModelServeChatClient(server.Client).AsBuilder().UseFunctionInvocation().Build();
        var options = new ChatOptions { Tools = [weather], MaxOutputTokens = 200 };
        ChatResponse response = isStreamed
            ? await client.GetStreamingResponseAsync([new(ChatRole.User, "hi")], options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync([new(ChatRole.User, "hi")], options, Token);

        Assert.Equal([("Köln", 2)], seen);
        AIContent[] contents = [.. response.Messages.SelectMany(message => message.Contents)];
        Assert.Equal("Look outside.", string.Concat(contents.OfType<TextReasoningContent>().Select(one => one.Text)));
        FunctionCallContent call = Assert.Single(contents.OfType<FunctionCallContent>());
        Assert.Equal(call.CallId, Assert.Single(contents.OfType<FunctionResultContent>()).CallId);
        Assert.Equal("It will rain.", response.Messages[^1].Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        await server.QuiesceAsync();
    }

    [Theory]
    [InlineData("weather")]
    [InlineData(null)]
    public async Task A_call_that_is_required_comes_and_is_the_only_one(string? name)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("<tool_call>" + new string('!', 150));
        using var client = new ModelServeChatClient(server.Client);
        var options = new ChatOptions
        {
            Tools = [AIFunctionFactory.CreateDeclaration("weather", "the weather", Json("""{"type":"object","properties":{"city":{"enum":["Bonn"]}},"required":["city"],"additionalProperties":false}"""))],
            ToolMode = name is null ? ChatToolMode.RequireAny : ChatToolMode.RequireSpecific(name),
            AllowMultipleToolCalls = false,
            MaxOutputTokens = 300,
        };
        ChatResponse response = await client.GetResponseAsync([new(ChatRole.User, "hi")], options, Token);
        FunctionCallContent call = Assert.Single(response.Messages[0].Contents.OfType<FunctionCallContent>());
        Assert.Equal("Bonn", call.Arguments!["city"]!.ToString());
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);

        options.ToolMode = ChatToolMode.None;
        server.Fake.Writes(Call);
        response = await client.GetResponseAsync([new(ChatRole.User, "hi")], options, Token);
        Assert.Equal(Call, response.Text);
    }

    [Fact]
    public async Task A_strict_function_is_held_to_its_schema()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes(Call);
        using var client = new ModelServeChatClient(server.Client);
        var weather = new Strict(AIFunctionFactory.CreateDeclaration("weather", null, Json("""{"type":"object","properties":{"city":{"enum":["Bonn"]}},"required":["city"],"additionalProperties":false}""")));
        ChatResponse response = await client.GetResponseAsync([new(ChatRole.User, "hi")], new ChatOptions { Tools = [weather], MaxOutputTokens = 300 }, Token);
        FunctionCallContent call = response.Messages[0].Contents.OfType<FunctionCallContent>().First();
        Assert.Equal("Bonn", Assert.Single(call.Arguments!).Value!.ToString());
    }

    [Fact]
    public async Task A_response_format_becomes_the_form_of_the_output()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes(new string('!', 100));
        using var client = new ModelServeChatClient(server.Client);
        JsonElement schema = Json("""{"type":"object","properties":{"side":{"enum":["left"]}},"required":["side"],"additionalProperties":false}""");
        ChatResponse response = await client.GetResponseAsync(
            [new(ChatRole.User, "hi")], new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(schema, "side"), MaxOutputTokens = 200 }, Token);
        Assert.Equal("left", Json(response.Text).GetProperty("side").GetString());
    }

    private static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private Task<WireServer> StartAsync() => StartAsync(null, new FakeModel { Answers = AnswerFormat.Parse("hermes") });

    private sealed class Strict(AIFunctionDeclaration inner) : AIFunctionDeclaration
    {
        public override string Name => inner.Name;

        public override JsonElement JsonSchema => inner.JsonSchema;

        public override IReadOnlyDictionary<string, object?> AdditionalProperties { get; } = new Dictionary<string, object?> { ["strict"] = true };
    }
}
