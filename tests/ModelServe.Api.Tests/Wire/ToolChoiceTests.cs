using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using ModelServe.Codec.ToolCalls;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Calls that a gRPC client asks for.</summary>
public sealed class ToolChoiceTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Weather = """
        {"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"enum":["Bonn","Ulm"]}},"required":["city"],"additionalProperties":false}}}
        """;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_required_or_named_call_is_made_and_told_as_one(bool isNamed)
    {
        await using WireServer server = await StartAsync();
        ChatRequest request = Request(isNamed ? new ToolChoice { Function = "weather" } : new ToolChoice { Mode = ToolMode.Required });
        request.Chat.ParallelToolCalls = false;
        GenerationResult result = await server.Inference.ChatUnaryAsync(request, cancellationToken: Token);
        ToolCallDelta call = Assert.Single(result.Output.ToolCalls);
        using JsonDocument arguments = JsonDocument.Parse(call.Arguments);
        Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), (string?[])["Bonn", "Ulm"]);
        Assert.Equal(FinishReason.ToolCalls, result.Finished.Reason);
    }

    [Fact]
    public async Task None_hides_the_tools_and_a_strict_definition_is_kept()
    {
        await using WireServer server = await StartAsync();
        const string call = "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}</tool_call>";
        server.Fake.Writes(call);
        ChatRequest request = Request(new ToolChoice { Mode = ToolMode.None });
        Assert.Equal(call, (await server.Inference.ChatUnaryAsync(request, cancellationToken: Token)).Output.Text);

        request = Request(null, Weather.Replace("\"name\":\"weather\"", "\"name\":\"weather\",\"strict\":true", StringComparison.Ordinal));
        ToolCallDelta made = Assert.Single((await server.Inference.ChatUnaryAsync(request, cancellationToken: Token)).Output.ToolCalls);
        Assert.DoesNotContain("Paris", made.Arguments, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"mode\":\"TOOL_MODE_REQUIRED\"}", null, "chat.tool_choice")]
    [InlineData("{\"function\":\"other\"}", Weather, "chat.tool_choice")]
    [InlineData("{\"mode\":\"TOOL_MODE_AUTO\",\"allowed\":[\"other\"]}", Weather, "chat.tool_choice")]
    [InlineData("{\"mode\":7}", Weather, "chat.tool_choice")]
    [InlineData("{\"mode\":\"TOOL_MODE_REQUIRED\"}", "{\"name\":\"bare\"}", "chat.tools[0].function.name")]
    [InlineData("{\"mode\":\"TOOL_MODE_REQUIRED\"}", "{\"function\":{\"name\":\"f\",\"parameters\":[1]}}", "chat.tools[0].function.parameters")]
    public async Task A_choice_that_cannot_be_is_refused_by_its_field(string choice, string? tool, string field)
    {
        await using WireServer server = await StartAsync();
        ChatRequest request = Request(ToolChoice.Parser.ParseJson(choice), tool);
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(async () => await server.Inference.ChatUnaryAsync(request, cancellationToken: Token));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(field, refused.Status.Detail, StringComparison.Ordinal);
    }

    private static ChatRequest Request(ToolChoice? choice, string? tool = Weather)
    {
        ChatRequest request = Conversation(("user", "hello"));
        request.Options.Stop.MaxTokens = 300;
        request.Chat = new ChatOptions { ToolChoice = choice };
        if (tool is not null)
        {
            request.Chat.Tools.Add(Struct.Parser.ParseJson(tool));
        }

        return request;
    }

    private Task<WireServer> StartAsync()
    {
        var fake = new FakeModel { Answers = AnswerFormat.Parse("hermes") };
        // The beginning of a call, because the model may as well think first.
        fake.Writes("<tool_call>" + new string('!', 200));
        return StartAsync(null, fake);
    }
}
