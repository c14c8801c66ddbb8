using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class FormatTests
{
    [Theory]
    [InlineData("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "||f:{\"a\": 1};")]
    [InlineData("Let me see.\n<tool_call>{\"arguments\": {\"a\": \"}\"}, \"name\": \"f\"}</tool_call>", "Let me see.||f:{\"a\": \"}\"};")]
    [InlineData("<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>", "||f:{};g:{};")]
    [InlineData("<tool_call>{\"name\": \"f\", \"arguments\": {}}\n{\"name\": \"g\", \"arguments\": {}}</tool_call> Done.", "Done.||f:{};g:{};")]
    [InlineData("<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": [1]}\"}</tool_call>", "||f:{\"a\": [1]};")]
    [InlineData("<think>\nHm <b>.\n</think>\n\nHi <b> there", "Hi <b> there|Hm <b>.|")]
    [InlineData("<think>a</think><tool_call>{\"name\": \"f\", \"arguments\": {}}", "|a|f:{};")]
    [InlineData("No <think> here", "No <think> here||")]
    public void Hermes(string text, string expected) => Assert.Equal(expected, Answers.Read("hermes", text));

    [Theory]
    [InlineData("Plan.\n</think>\n\n4", "4|Plan.|")]
    [InlineData("<think>Plan.</think>4", "4|Plan.|")]
    [InlineData("never ends ", "|never ends |")]
    public void Reasoning_that_the_prompt_has_opened(string text, string expected) =>
        Assert.Equal(expected, Answers.Read("hermes", text, begun: true));

    [Theory]
    [InlineData("<tool_call>\n<function=f>\n<parameter=a>\nx\ny\n</parameter>\n</function>\n</tool_call>", "||f:{\"a\": \"x\\ny\"};")]
    [InlineData("Ok\n<function=f>\n</function>", "Ok||f:{};")]
    [InlineData("<tool_call><function=book><parameter=count>3</parameter><parameter=score>\n1.5\n</parameter></function></tool_call>", "||book:{\"count\": 3, \"score\": 1.5};")]
    [InlineData("<tool_call><function=book><parameter=sure>True</parameter><parameter=tags>\n['a', \"b\"]\n</parameter></function></tool_call>", "||book:{\"sure\": true, \"tags\": [\"a\", \"b\"]};")]
    [InlineData("<tool_call><function=book><parameter=who>{\"n\": 1}</parameter><parameter=score>None</parameter></function></tool_call>", "||book:{\"who\": {\"n\": 1}, \"score\": null};")]
    [InlineData("<tool_call><function=book><parameter=count>many</parameter><parameter=note>3</parameter></function></tool_call>", "||book:{\"count\": \"many\", \"note\": \"3\"};")]
    public void Qwen3_Coder(string text, string expected) => Assert.Equal(expected, Answers.Read("qwen3-coder", text));

    [Theory]
    [InlineData("{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}", "||f:{\"a\": \"b\"};")]
    [InlineData("<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}", "||f:{};")]
    [InlineData("{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"arguments\": {}}\n{\"name\": \"h\", \"parameters\": {}}", "||f:{};g:{};h:{};")]
    [InlineData("<|python_tag|>brave_search.call(query=\"a \\\"b\\\"\")", "||brave_search:{\"query\": \"a \\\"b\\\"\"};")]
    [InlineData("Well:\n{\"name\": \"f\", \"parameters\": {}} I used {f}.", "Well:I used {f}.||f:{};")]
    [InlineData("{\"city\": \"Paris\"}", "{\"city\": \"Paris\"}||")]
    [InlineData("{\"name\": \"Ann\", \"age\": 3}", "{\"name\": \"Ann\", \"age\": 3}||")]
    public void Llama_3_json(string text, string expected) => Assert.Equal(expected, Answers.Read("llama3-json", text));

    [Theory]
    [InlineData("[f(a=1), g(b=\"x\")]", "||f:{\"a\": 1};g:{\"b\": \"x\"};")]
    [InlineData("[a.b(x=[1, -2.5, .5, (True, None)], y={'k': 'v'}, z='it\\'s\\n',)]", "||a.b:{\"x\": [1, -2.5, 0.5, [true, null]], \"y\": {\"k\": \"v\"}, \"z\": \"it's\\n\"};")]
    [InlineData("<|tool_call_start|>[f()]<|tool_call_end|>Wait.", "Wait.||f:{};")]
    [InlineData("[link](url)", "[link](url)||")]
    [InlineData("See [f(a=1)]", "See [f(a=1)]||")]
    [InlineData("[f(a=__import__('os'))]", "[f(a=__import__('os'))]||")]
    [InlineData("[f(a=1), g(b=", ", g(b=||f:{\"a\": 1};")]
    public void Pythonic(string text, string expected) => Assert.Equal(expected, Answers.Read("pythonic", text));

    [Theory]
    [InlineData("[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"abcdefghi\"}, {\"name\": \"g\", \"arguments\": {}}]", "||f:{\"a\": 1};g:{};")]
    [InlineData("Hi[TOOL_CALLS] f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}", "Hi||f:{\"a\": 1};g:{};")]
    [InlineData("[TOOL_CALLS]f{\"a\": 1}", "||f:{\"a\": 1};")]
    [InlineData("[THINK]Hm.[/THINK]Yes", "Yes|Hm.|")]
    [InlineData("The [TOOL_CALLS] marker", "The [TOOL_CALLS] marker||")]
    public void Mistral(string text, string expected) => Assert.Equal(expected, Answers.Read("mistral", text));

    [Theory]
    [InlineData("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "||f:{\"a\": 1};g:{};")]
    [InlineData("Ok.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "Ok.||f:{\"a\": 1};g:{};")]
    [InlineData("<think>\nHm\n</think>\nA", "A|Hm|")]
    public void DeepSeek(string text, string expected) => Assert.Equal(expected, Answers.Read("deepseek", text));

    [Theory]
    [InlineData("<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>4 <b>", "4 <b>|Easy.|")]
    [InlineData("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>", "||f:{\"a\": 1};")]
    [InlineData(" to=functions.f<|channel|>commentary json<|message|>{\"a\": 1}", "||f:{\"a\": 1};")]
    [InlineData("<|channel|>commentary<|message|>First.<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|><|start|>assistant to=functions.g<|channel|>commentary<|message|>{}", "First.||f:{};g:{};")]
    [InlineData("<|channel|>final<|message|>{\"a\"<|return|>", "{\"a\"||")]
    [InlineData("the plain answer", "the plain answer||")]
    public void Harmony(string text, string expected) => Assert.Equal(expected, Answers.Read("harmony", text));

    [Fact]
    public void The_models_own_id_is_kept_where_it_comes_before_the_arguments() =>
        Assert.Equal("abc", AnswerParser.Parse("[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}", AnswerFormat.Parse("mistral")).ToolCalls[0].Id);

    [Fact]
    public void New_ids_have_the_shape_that_the_templates_accept()
    {
        Assert.Matches("^[A-Za-z0-9]{9}$", AnswerParser.Parse("[TOOL_CALLS]g[ARGS]{}", AnswerFormat.Parse("mistral")).ToolCalls[0].Id);
        Assert.Matches("^call_[0-9a-f]{24}$", AnswerParser.Parse("[f()]", AnswerFormat.Parse("pythonic")).ToolCalls[0].Id);
    }

    [Fact]
    public void An_unknown_format_is_refused_by_name() =>
        Assert.Contains("got 'xml'", Assert.Throws<FormatException>(() => AnswerFormat.Parse("xml")).Message, StringComparison.Ordinal);
}
