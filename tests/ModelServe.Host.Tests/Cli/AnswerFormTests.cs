using System.Net.Http.Json;
using System.Text.Json;
using ModelServe.Codec.ToolCalls;
using ModelServe.Host.Options;
using ModelServe.Host.Tests.Faults;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>What an operator says about the form of answers goes before what the chat template shows.</summary>
public sealed class AnswerFormTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Shipped => Path.Combine(AppContext.BaseDirectory, "models", "tiny-nano");

    [Fact]
    public void Without_a_word_the_template_decides() =>
        Assert.Equal(AnswerFormat.Load(Shipped), new AnswerForm().Of(Shipped));

    [Fact]
    public void Each_half_can_be_said_alone()
    {
        Assert.Equal(AnswerFormat.Parse("hermes"), new AnswerForm { ToolCalls = "hermes" }.Of(Shipped));
        Assert.Equal(new AnswerFormat(ToolFormat.Hermes, null), new AnswerForm { ToolCalls = "hermes", Reasoning = "none" }.Of(Shipped));
        Assert.Equal(AnswerFormat.Load(Shipped) with { Reasoning = ReasoningMarkers.SeedThink }, new AnswerForm { Reasoning = "seed-oss" }.Of(Shipped));
        Assert.NotNull(new AnswerForm { ToolCalls = "harmony", Reasoning = "think" }.FirstError());
    }

    [Fact]
    public void Every_name_is_one_that_is_known()
    {
        Assert.All(AnswerForm.ToolCallNames, name => Assert.NotNull(new AnswerForm { ToolCalls = name }.Of(Shipped)));
        Assert.All(AnswerForm.ReasoningNames, name => Assert.NotNull(new AnswerForm { Reasoning = name }.Of(Shipped)));
    }

    [Theory]
    [InlineData("--tool-call-format", "xml", "hermes")]
    [InlineData("--reasoning-format", "deep", "seed-oss")]
    [InlineData("--reload-interval", "-1", "0..86400")]
    public async Task A_name_that_is_unknown_ends_the_start_and_lists_the_known(string option, string value, string known)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", option, value);
        Assert.NotEqual(0, code);
        Assert.Contains(option, errors, StringComparison.Ordinal);
        Assert.Contains(known, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_told_a_reasoning_form_answers_as_before_where_there_is_no_reasoning()
    {
        using ModelServeProcess server = StopTests.Start("--tool-call-format", "hermes", "--reasoning-format", "think");
        (_, string http) = await StopTests.ReadyAsync(server);
        using HttpClient client = new();
        using HttpResponseMessage response = await client.PostAsJsonAsync(
            http + "/v1/chat/completions", new { model = "tiny-mini", messages = new[] { new { role = "user", content = "What is 27 + 58?" } } }, Cancellation);
        JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
        Assert.Equal("85", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }
}
