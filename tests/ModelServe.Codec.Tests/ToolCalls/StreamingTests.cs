using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class StreamingTests
{
    [Fact]
    public void Name_and_arguments_come_before_the_call_is_complete()
    {
        var parser = new AnswerParser(AnswerFormat.Parse("hermes"), Answers.Options());
        var events = new List<AnswerEvent>();
        parser.Append("Hi <tool_call>{\"name\": \"f\", \"arguments\": {\"city\": \"Par", events);
        Assert.Equal(
            [
                new AnswerEvent(AnswerEventKind.Content, "Hi"),
                new AnswerEvent(AnswerEventKind.CallStarted, "f", 0, "id0"),
                new AnswerEvent(AnswerEventKind.CallArguments, "{\"city\": \"Par", 0),
            ],
            events);
    }

    [Fact]
    public void Only_what_may_be_a_marker_is_held_back()
    {
        var parser = new AnswerParser(AnswerFormat.Parse("hermes"));
        var events = new List<AnswerEvent>();
        parser.Append("a < b, <tool", events);
        Assert.Equal("a < b,", Assert.Single(events).Text);
        parser.Append("s", events);
        Assert.Equal("a < b, <tools", string.Concat(events.Select(piece => piece.Text)));
    }

    [Fact]
    public void A_call_that_goes_wrong_is_taken_back_and_its_text_is_content()
    {
        const string text = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": oops}}</tool_call>";
        List<AnswerEvent> events = Answers.Events("hermes", text, [1000]);
        Assert.Equal(
            [AnswerEventKind.CallStarted, AnswerEventKind.CallArguments, AnswerEventKind.CallAbandoned, AnswerEventKind.Content],
            events.Select(piece => piece.Kind));
        Assert.Equal(text, events[^1].Text);
    }

    [Theory]
    [InlineData("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1")]
    [InlineData("hermes", "<tool_call>{\"name\": \"f\"}</tool_call>")]
    [InlineData("hermes", "<tool_call>{\"name\": 1, \"arguments\": {}}</tool_call>")]
    [InlineData("hermes", "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>")]
    [InlineData("qwen3-coder", "<tool_call>\n<function=f>\n<parameter=a>\nx")]
    [InlineData("qwen3-coder", "<function=f><parameter=a>1</parameter><parameter=a>2</parameter></function>")]
    [InlineData("llama3-json", "{\"name\": \"f\", \"parameters\": {invalid json}")]
    [InlineData("llama3-json", "<|python_tag|>print(1)")]
    [InlineData("pythonic", "[f(1)]")]
    [InlineData("pythonic", "[f(a=1")]
    [InlineData("mistral", "[TOOL_CALLS]f[ARGS]{\"a\"")]
    [InlineData("mistral", "[TOOL_CALLS][{\"name\": \"f\"}]")]
    [InlineData("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\"")]
    [InlineData("harmony", "<|channel|>commentary to=functions.f<|message|>{\"a\"")]
    public void What_is_cut_short_or_malformed_is_content(string format, string text) =>
        Assert.Equal(text + "||", Answers.Read(format, text));

    [Fact]
    public void A_call_after_a_broken_one_is_found() =>
        Assert.Equal("<tool_call>{\"name\":||g:{};", Answers.Read("hermes", "<tool_call>{\"name\":<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>"));

    [Fact]
    public void Nesting_beyond_the_limit_is_content()
    {
        string deep = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": " + new string('[', 300) + new string(']', 300) + "}}</tool_call>";
        Assert.Equal(deep + "||", Answers.Read("hermes", deep));
    }
}
