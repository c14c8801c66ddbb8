using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Outputs that are held to a form, whatever the model would rather write.</summary>
public sealed class FormTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Schema = """{"type":"object","properties":{"side":{"enum":["left","right"]},"count":{"type":"integer","minimum":3,"maximum":12}},"required":["side","count"],"additionalProperties":false}""";

    [Fact]
    public async Task A_chat_answer_follows_the_schema_and_ends_where_it_is_whole()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("{\"side\": \"up\", \"count\": 99}");
        string format = $",\"max_tokens\":300,\"response_format\":{{\"type\":\"json_schema\",\"json_schema\":{{\"name\":\"s\",\"strict\":true,\"schema\":{Schema}}}}}";
        JsonElement answer = await AnswerAsync(server, Chats, Chat().Replace(",\"max_tokens\":64", format, StringComparison.Ordinal));
        JsonElement choice = answer.GetProperty("choices")[0];
        using JsonDocument content = JsonDocument.Parse(choice.GetProperty("message").GetProperty("content").GetString()!);
        Assert.Contains(content.RootElement.GetProperty("side").GetString(), (string?[])["left", "right"]);
        Assert.InRange(content.RootElement.GetProperty("count").GetInt32(), 3, 12);
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        await server.QuiesceAsync();
    }

    [Theory]
    [InlineData("\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]}", "^(yes|no)$")]
    [InlineData("\"structured_outputs\":{\"regex\":\"[a-c]{3}-[0-9]{1,4}x\"}", "^[a-c]{3}-[0-9]{1,4}x$")]
    [InlineData("\"structured_outputs\":{\"grammar\":\"root ::= [a-c]+ pair{2}\\npair ::= \\\"-\\\" [0-9]\"}", "^[a-c]+(-[0-9]){2}$")]
    public async Task A_streamed_completion_follows_a_choice_a_pattern_or_a_grammar(string form, string pattern)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("zzzzzzzzz");
        List<JsonElement> chunks = await EventsAsync(server, Texts, Text($",\"stream\":true,{form}"));
        Assert.Matches(new Regex(pattern), string.Concat(chunks.Select(chunk => chunk.GetProperty("choices")[0].GetProperty("text").GetString())));
    }

    [Fact]
    public async Task A_form_that_cannot_be_kept_is_refused_with_its_place_and_others_go_on()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("ok");
        using HttpResponseMessage refused = await PostAsync(server, Chats, Chat(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":{\"properties\":{\"a\":{\"if\":{\"type\":\"string\"}}}}}}"));
        JsonElement error = (await JsonAsync(refused)).GetProperty("error");
        Assert.True(refused.StatusCode is HttpStatusCode.NotImplemented or HttpStatusCode.BadRequest, $"{refused.StatusCode}");
        Assert.Contains("#/properties/a", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("ok", (await AnswerAsync(server, Chats, Chat())).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task The_form_of_a_grpc_request_is_kept_and_echoed()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("anything");
        var form = new OutputForm { Regex = "ab+c" };
        var request = new GenerateRequest
        {
            TokenIds = new TokenIds { Ids = { 104, 105, SyntheticCheckpoint.Begin } },
            Options = new GenerationOptions { Form = form, Stop = new StopConditions { MaxTokens = 40 } },
        };
        GenerationResult result = await server.Inference.GenerateUnaryAsync(request, cancellationToken: Token);
        Assert.Matches("^ab+c?$", result.Output.Text);
        Assert.Equal(form, result.Accepted.Effective.Form);
        request.Options.Form = new OutputForm { Choice = new TextChoices() };
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAnyAsync<RpcException>(async () => await server.Inference.GenerateUnaryAsync(request, cancellationToken: Token))).StatusCode);
    }

    [Fact]
    public async Task A_hostile_schema_ends_its_own_request_by_name_and_others_go_on()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("{\"a\": \"some text");
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Hostile("{\"properties\":{\"a\":", "},\"required\":[\"a\"]}"), cancellationToken: Token);
        var last = new GenerationEvent();
        while (await call.ResponseStream.MoveNext(Token))
        {
            last = call.ResponseStream.Current;
        }

        Assert.Equal(GenerationEvent.EventOneofCase.Error, last.EventCase);
        Assert.Equal("the form of the output: the text can be read in more than 256 ways at once", last.Error.Message);
        server.Fake.Writes("ok");
        Assert.Equal("ok", (await AnswerAsync(server, Chats, Chat())).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_schema_that_is_hostile_from_its_first_byte_is_refused()
    {
        await using WireServer server = await StartAsync();
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(async () => await server.Inference.GenerateUnaryAsync(Hostile("", ""), cancellationToken: Token));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("in more than 256 ways at once", refused.Status.Detail, StringComparison.Ordinal);
        await server.QuiesceAsync();
    }

    // Every alternative reads the same text: more ways at once than may be followed.
    private static GenerateRequest Hostile(string before, string after)
    {
        string ways = string.Join(',', Enumerable.Range(1, 400).Select(i => $"{{\"type\":\"string\",\"minLength\":{i}}}"));
        return new GenerateRequest
        {
            TokenIds = new TokenIds { Ids = { 104, 105, SyntheticCheckpoint.Begin } },
            Options = new GenerationOptions { Form = new OutputForm { JsonSchema = $"{before}{{\"anyOf\":[{ways}]}}{after}" }, Stop = new StopConditions { MaxTokens = 40 } },
        };
    }
}
