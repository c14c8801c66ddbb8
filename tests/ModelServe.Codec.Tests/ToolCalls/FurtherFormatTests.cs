using System.Text.Json.Nodes;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class FurtherFormatTests
{
    [Theory]
    [InlineData("\n<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x\ny </arg_value>\n<arg_key>b</arg_key>\n<arg_value>2</arg_value>\n</tool_call>", "||f:{\"a\": \"x\\ny \", \"b\": \"2\"};")]
    [InlineData("Ok<tool_call>book<arg_key>count</arg_key><arg_value>3</arg_value><arg_key>tags</arg_key><arg_value>[\"a\"]</arg_value></tool_call>", "Ok||book:{\"count\": 3, \"tags\": [\"a\"]};")]
    [InlineData("<tool_call>f</tool_call>\n<tool_call>g</tool_call>Done", "Done||f:{};g:{};")]
    [InlineData("<think>Hm.</think>\n<tool_call>f</tool_call>", "|Hm.|f:{};")]
    [InlineData("<tool_call>is a marker", "<tool_call>is a marker||")]
    [InlineData("<tool_call>{\"name\": \"f\"}</tool_call>", "<tool_call>{\"name\": \"f\"}</tool_call>||")]
    [InlineData("<tool_call>f<arg_key>a</arg_key><arg_value>1", "<tool_call>f<arg_key>a</arg_key><arg_value>1||")]
    [InlineData("<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>a</arg_key><arg_value>2</arg_value></tool_call>", "<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>a</arg_key><arg_value>2</arg_value></tool_call>||")]
    public void Glm(string text, string expected) => Assert.Equal(expected, Answers.Read("glm", text));

    [Theory]
    [InlineData("Ok<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>", "Ok||f:{\"a\": 1};g:{};")]
    [InlineData("<|tool_calls_section_begin|>\n<|tool_call_begin|> functions.a.b:12 <|tool_call_argument_begin|> {} <|tool_call_end|>\n<|tool_calls_section_end|> Done", "Done||a.b:{};")]
    [InlineData("<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\"", "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\"||")]
    [InlineData("<|tool_calls_section_begin|>nothing", "<|tool_calls_section_begin|>nothing||")]
    public void Kimi_K2(string text, string expected) => Assert.Equal(expected, Answers.Read("kimi-k2", text));

    [Fact]
    public void Kimi_s_own_id_is_kept() => Assert.Equal(
        "functions.f:3",
        AnswerParser.Parse("<|tool_call_begin|>functions.f:3<|tool_call_argument_begin|>{}<|tool_call_end|>", AnswerFormat.Parse("kimi-k2")).ToolCalls[0].Id);

    [Theory]
    [InlineData("<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", "||f:{\"a\": 1};")]
    [InlineData("<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]<|/tool_call|>", "||f:{};g:{};")]
    [InlineData("Plan\n<tool_calls>[{\"name\": \"f\", \"arguments\": {}, \"id\": \"x\"}]</tool_calls>", "Plan||f:{};")]
    [InlineData("<|tool_call|>[]", "||")]
    [InlineData("<|tool_call|>none", "<|tool_call|>none||")]
    [InlineData("<tool_calls>[{\"name\": \"f\", \"arguments\": {", "<tool_calls>[{\"name\": \"f\", \"arguments\": {||")]
    public void Json_list(string text, string expected) => Assert.Equal(expected, Answers.Read("json-list", text));

    [Theory]
    [InlineData("<|START_THINKING|>Hm.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>", "|Hm.|f:{\"a\": 1};")]
    [InlineData("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>It is 4.<|END_RESPONSE|>", "It is 4.|Hm.|")]
    public void Command_R(string text, string expected) => Assert.Equal(expected, Answers.Read("command-r", text));

    [Theory]
    [InlineData("<seed:think>Hm</seed:think>\n<seed:tool_call>\n<function=f>\n<parameter=a>x</parameter>\n</function>\n</seed:tool_call>", "|Hm|f:{\"a\": \"x\"};")]
    [InlineData("<seed:tool_call>\n<function=f", "<seed:tool_call>\n<function=f||")]
    public void Seed_OSS(string text, string expected) => Assert.Equal(expected, Answers.Read("seed-oss", text));

    [Theory]
    [InlineData("Ok\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" string=\"true\">3</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" string=\"false\">[1, {\"c\": null}]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>", "Ok||f:{\"a\": \"3\", \"b\": [1, {\"c\": null}]};")]
    [InlineData("<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"></｜DSML｜invoke><｜DSML｜invoke name=\"g\"></｜DSML｜invoke></｜DSML｜tool_calls>", "||f:{};g:{};")]
    [InlineData("<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" string=\"false\">no json</｜DSML｜parameter></｜DSML｜invoke>", "||f:{\"a\": \"no json\"};")]
    [InlineData("<｜DSML｜tool_calls></｜DSML｜tool_calls>", "<｜DSML｜tool_calls></｜DSML｜tool_calls>||")]
    public void DeepSeek_markup(string text, string expected) => Assert.Equal(expected, Answers.Read("deepseek-markup", text));

    [Theory]
    [InlineData("<think>Hm</think><minimax:tool_call>\n<invoke name=\"book\">\n<parameter name=\"count\">3</parameter>\n<parameter name=\"note\">a\nb</parameter>\n</invoke>\n</minimax:tool_call>", "|Hm|book:{\"count\": 3, \"note\": \"a\\nb\"};")]
    [InlineData("<minimax:tool_call><invoke name=f></invoke>", "<minimax:tool_call><invoke name=f></invoke>||")]
    public void MiniMax(string text, string expected) => Assert.Equal(expected, Answers.Read("minimax", text));

    [Theory]
    [InlineData("<|tool_call>call:f{}<tool_call|>", "||f:{};")]
    [InlineData("<|channel>thought\nHm.\n<channel|>Ok<|tool_call>call:f{a:<|\"|>x \"<b>\"\n<|\"|>,b:-1.5,c:[true,None,{<|\"|>d e<|\"|>:<|\"|><|\"|>}],g:{h:1}}<tool_call|><|tool_call>call:g{}<tool_call|>", "Ok|Hm.|f:{\"a\": \"x \\\"<b>\\\"\\n\", \"b\": -1.5, \"c\": [true, null, {\"d e\": \"\"}], \"g\": {\"h\": 1}};g:{};")]
    [InlineData("<|tool_call>call:f{a:bare}<tool_call|>", "<|tool_call>call:f{a:bare}<tool_call|>||")]
    [InlineData("<|tool_call>call:f{a:1,a:2}<tool_call|>", "<|tool_call>call:f{a:1,a:2}<tool_call|>||")]
    [InlineData("<|tool_call>call:f{a:[1}<tool_call|>", "<|tool_call>call:f{a:[1}<tool_call|>||")]
    [InlineData("<|tool_call>call:f{a:<|\"|>x", "<|tool_call>call:f{a:<|\"|>x||")]
    public void Gemma(string text, string expected) => Assert.Equal(expected, Answers.Read("gemma", text));

    [Theory]
    [InlineData("hermes", "<tool_call>{\"name\": \"%\", \"arguments\": {}}</tool_call>")]
    [InlineData("hermes", "<tool_call>{\"arguments\": {}, \"name\": \"%\"}</tool_call>")]
    [InlineData("qwen3-coder", "<tool_call><function=%></function></tool_call>")]
    [InlineData("llama3-json", "{\"name\": \"%\", \"parameters\": {}}")]
    [InlineData("pythonic", "[%()]")]
    [InlineData("mistral", "[TOOL_CALLS]%[ARGS]{}")]
    [InlineData("deepseek", "<｜tool▁call▁begin｜>%<｜tool▁sep｜>{}<｜tool▁call▁end｜>")]
    [InlineData("harmony", "<|channel|>commentary to=functions.%<|message|>{}")]
    [InlineData("glm", "<tool_call>%</tool_call>")]
    [InlineData("kimi-k2", "<|tool_call_begin|>functions.%:0<|tool_call_argument_begin|>{}<|tool_call_end|>")]
    [InlineData("json-list", "<|tool_call|>[{\"name\": \"%\", \"arguments\": {}}]")]
    [InlineData("command-r", "<|START_ACTION|>[{\"tool_name\": \"%\", \"parameters\": {}}]<|END_ACTION|>")]
    [InlineData("seed-oss", "<seed:tool_call><function=%></function></seed:tool_call>")]
    [InlineData("deepseek-markup", "<｜DSML｜tool_calls><｜DSML｜invoke name=\"%\"></｜DSML｜invoke></｜DSML｜tool_calls>")]
    [InlineData("minimax", "<minimax:tool_call><invoke name=\"%\"></invoke></minimax:tool_call>")]
    [InlineData("gemma", "<|tool_call>call:%{}<tool_call|>")]
    public void A_tool_that_the_request_lacks_stays_text_where_only_known_ones_count(string format, string pattern)
    {
        AnswerOptions options = Answers.Options() with { KnownToolsOnly = true };
        string known = pattern.Replace("%", "book", StringComparison.Ordinal);
        string unknown = pattern.Replace("%", "erase", StringComparison.Ordinal);
        Assert.Equal("||book:{};", Answers.Show(AnswerParser.Parse(known, AnswerFormat.Parse(format), options)));
        Assert.Equal(unknown + "||", Answers.Show(AnswerParser.Parse(unknown, AnswerFormat.Parse(format), options)));
        Assert.Equal("||erase:{};", Answers.Read(format, unknown));
    }

    [Fact]
    public void A_request_without_tools_calls_none_where_only_known_ones_count() => Assert.Empty(
        AnswerParser.Parse("[f()]", AnswerFormat.Parse("pythonic"), new AnswerOptions { Tools = new JsonArray(), KnownToolsOnly = true }).ToolCalls);
}
