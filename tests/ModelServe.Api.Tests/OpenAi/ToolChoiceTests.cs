using System.Net;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Calls that the client asks for: the model would rather write something else, and its tokens are held to the tools.</summary>
public sealed class ToolChoiceTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    private const string Weather = """
        {"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"enum":["Bonn","Ulm"]},"days":{"type":"integer","minimum":1,"maximum":7}},
        "required":["city","days"],"additionalProperties":false}}}
        """;

    private const string Now = """{"type":"function","function":{"name":"now"}}""";

    // The first letter above white space: what is chosen is then the first thing that is no white space.
    private static string Unwilling => new('!', 300);

    private const string Opener = "<tool_call>";

    [Theory]
    [InlineData("hermes", Opener)]
    [InlineData("qwen3-coder", Opener)]
    [InlineData("llama3-json", "")]
    [InlineData("pythonic", "")]
    [InlineData("mistral", "[TOOL_CALLS]")]
    [InlineData("deepseek", "<｜tool▁calls▁begin｜>")]
    [InlineData("glm", Opener)]
    [InlineData("kimi-k2", "<|tool_calls_section_begin|>")]
    [InlineData("json-list", "<tool_calls>")]
    [InlineData("command-r", "<tool_calls>")]
    [InlineData("seed-oss", "<seed:tool_call>")]
    [InlineData("deepseek-markup", "<｜DSML｜function_calls>")]
    [InlineData("minimax", "<minimax:tool_call>")]
    [InlineData("harmony", "<|channel|>c")]
    public async Task A_required_call_comes_in_the_form_of_every_model(string format, string begun)
    {
        // A model that may think first would, were it not for the beginning of a call.
        await using WireServer server = await StartAsync(format, begun + Unwilling);
        JsonElement choice = await ChoiceAsync(server, Body("\"required\",\"parallel_tool_calls\":false"));
        AssertWeather(choice.GetProperty("message").GetProperty("tool_calls"));
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_named_call_ends_as_a_stop_streamed_or_not()
    {
        await using WireServer server = await StartAsync("hermes", Opener + Unwilling);
        string body = Body("{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}", Now + "," + Weather);
        JsonElement choice = await ChoiceAsync(server, body);
        AssertWeather(choice.GetProperty("message").GetProperty("tool_calls"));
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());

        List<JsonElement> chunks = await EventsAsync(server, Chats, body.Replace("\"model\"", "\"stream\":true,\"model\"", StringComparison.Ordinal));
        Assert.Equal("stop", FinishOf(chunks));
        JsonElement[] pieces = [.. chunks.SelectMany(chunk => chunk.GetProperty("choices")[0].GetProperty("delta").TryGetProperty("tool_calls", out JsonElement calls) ? calls.EnumerateArray() : [])];
        Assert.Equal("weather", pieces[0].GetProperty("function").GetProperty("name").GetString());
        using JsonDocument arguments = JsonDocument.Parse(string.Concat(pieces.Select(piece => piece.GetProperty("function").TryGetProperty("arguments", out JsonElement text) ? text.GetString() : "")));
        Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), (string?[])["Bonn", "Ulm"]);
    }

    [Fact]
    public async Task Of_the_allowed_tools_only_one_is_called()
    {
        const string allowed = "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]}}";
        await using WireServer server = await StartAsync("hermes", "<tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>");
        JsonElement message = (await ChoiceAsync(server, Body(allowed, Weather + "," + Now))).GetProperty("message");
        Assert.All(message.GetProperty("tool_calls").EnumerateArray(), call => Assert.Equal("now", call.GetProperty("function").GetProperty("name").GetString()));

        // Left to the model, a call of another tool cannot come out, and text can.
        server.Fake.Writes("Fine.");
        message = (await ChoiceAsync(server, Body(allowed.Replace("required", "auto", StringComparison.Ordinal), Weather + "," + Now))).GetProperty("message");
        Assert.Equal("Fine.", message.GetProperty("content").GetString());
        Assert.False(message.TryGetProperty("tool_calls", out _));
    }

    [Fact]
    public async Task A_strict_tool_is_held_to_its_schema_once_a_call_has_begun_and_text_stays_free()
    {
        string strict = Weather.Replace("\"name\":\"weather\"", "\"name\":\"weather\",\"strict\":true", StringComparison.Ordinal);
        await using WireServer server = await StartAsync("hermes", "Let me see: {} <tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 99, \"x\": 1}}</tool_call>");
        JsonElement choice = await ChoiceAsync(server, Body("\"auto\",\"parallel_tool_calls\":false", strict));
        Assert.Equal("Let me see: {}", choice.GetProperty("message").GetProperty("content").GetString());
        AssertWeather(choice.GetProperty("message").GetProperty("tool_calls"));
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());

        server.Fake.Writes("I do not need <tools>.");
        choice = await ChoiceAsync(server, Body("\"auto\"", strict));
        Assert.Equal("I do not need <tools>.", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Without_parallel_calls_a_second_one_does_not_come_out()
    {
        const string call = "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": 1}}</tool_call>";
        await using WireServer server = await StartAsync("hermes", call + call);
        JsonElement two = (await ChoiceAsync(server, Body("\"auto\"", Now))).GetProperty("message").GetProperty("tool_calls");
        Assert.Equal(2, two.GetArrayLength());
        JsonElement one = (await ChoiceAsync(server, Body("\"auto\",\"parallel_tool_calls\":false", Now))).GetProperty("message").GetProperty("tool_calls");
        Assert.Equal("{\"a\": 1}", Assert.Single(one.EnumerateArray()).GetProperty("function").GetProperty("arguments").GetString());
    }

    [Fact]
    public async Task Reasoning_comes_first_and_is_free()
    {
        await using WireServer server = await StartAsync("hermes", "<think>I would rather not {call}</think>No!" + Unwilling);
        JsonElement message = (await ChoiceAsync(server, Body("\"required\",\"parallel_tool_calls\":false"))).GetProperty("message");
        Assert.Equal("I would rather not {call}", message.GetProperty("reasoning_content").GetString());
        AssertWeather(message.GetProperty("tool_calls"));

        // An answer that goes on inside of its reasoning ends that first.
        server.Fake.Writes("Yes and no.</think>No!" + Unwilling);
        string body = Body("\"required\",\"parallel_tool_calls\":false,\"continue_final_message\":true").Replace(
            "\"content\":\"hello\"}", "\"content\":\"hello\"},{\"role\":\"assistant\",\"content\":\"<think>\\nYes \"}", StringComparison.Ordinal);
        message = (await ChoiceAsync(server, body)).GetProperty("message");
        Assert.Equal("and no.", message.GetProperty("reasoning_content").GetString());
        AssertWeather(message.GetProperty("tool_calls"));
    }

    [Theory]
    [InlineData("hermes", "\"required\"", """{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"if":{}, "uniqueItems":true,"type":"array"}}}}}""", "tool_choice", "#/properties/a")]
    [InlineData("hermes", "\"auto\"", """{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"nope"}}}""", "tools", "tools[0].function.parameters#")]
    [InlineData("gemma", "\"required\"", Now, "tool_choice", "Gemma")]
    [InlineData("gemma", "\"auto\",\"parallel_tool_calls\":false", Now, "parallel_tool_calls", "Gemma")]
    [InlineData("none", "\"required\"", Now, "tool_choice", "unknown")]
    [InlineData("hermes", "\"required\",\"response_format\":{\"type\":\"json_object\"}", Now, "response_format", "beside")]
    [InlineData("hermes", "\"required\",\"min_tokens\":3", Now, "min_tokens", "beside")]
    [InlineData("hermes", "\"required\",\"ignore_eos\":true", Now, "ignore_eos", "able to end")]
    public async Task What_cannot_be_kept_is_refused_by_name_and_others_go_on(string format, string choice, string tool, string param, string part)
    {
        await using WireServer server = await StartAsync(format, "ok");
        using HttpResponseMessage refused = await PostAsync(server, Chats, Body(choice, tool));
        JsonElement error = (await JsonAsync(refused)).GetProperty("error");
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Contains(part, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("ok", (await ChoiceAsync(server, Chat())).GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task A_model_whose_calls_nobody_knows_takes_strict_tools_and_calls_none()
    {
        await using WireServer server = await StartAsync("none", "ok");
        JsonElement choice = await ChoiceAsync(server, Body("\"auto\",\"parallel_tool_calls\":false", Now.Replace("\"now\"", "\"now\",\"strict\":true", StringComparison.Ordinal)));
        Assert.Equal("ok", choice.GetProperty("message").GetProperty("content").GetString());
    }

    private static string Body(string choice, string tools = Weather) =>
        Chat($",\"tools\":[{tools}],\"tool_choice\":{choice}").Replace("\"max_tokens\":64", "\"max_tokens\":400", StringComparison.Ordinal);

    private static void AssertWeather(JsonElement calls)
    {
        JsonElement function = Assert.Single(calls.EnumerateArray()).GetProperty("function");
        Assert.Equal("weather", function.GetProperty("name").GetString());
        using JsonDocument arguments = JsonDocument.Parse(function.GetProperty("arguments").GetString()!);
        Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), (string?[])["Bonn", "Ulm"]);
        Assert.InRange(arguments.RootElement.GetProperty("days").GetInt32(), 1, 7);
        Assert.Equal(2, arguments.RootElement.GetPropertyCount());
    }

    private static async Task<JsonElement> ChoiceAsync(WireServer server, string body) =>
        (await AnswerAsync(server, Chats, body)).GetProperty("choices")[0];

    private async Task<WireServer> StartAsync(string format, string script)
    {
        var fake = new FakeModel { Answers = AnswerFormat.Parse(format) };
        fake.Writes(script);
        return await StartAsync(null, fake);
    }
}
