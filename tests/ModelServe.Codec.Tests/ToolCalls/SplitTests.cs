using CsCheck;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class SplitTests
{
    private static readonly string[] Fragments =
    [
        "<tool_call>", "</tool_call>", "<function=f>", "<function=", "</function>", "<parameter=a>", "<parameter=b>", "</parameter>",
        "{\"name\": \"f\", \"arguments\": {\"a\": 1}}", "{\"name\": \"g\", \"parameters\": {", "\"x\": \"y\"", "}}", "{", "}", "[", "]", "\"", "\\", ",", ";",
        "<|python_tag|>", "f.call(", "f(", "a=1", "b='x'", ")", "[f(a=1), g(b=\"x\")]", "<|python_start|>", "<|python_end|>",
        "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "f[ARGS]{\"a\": 2}", "[THINK]", "[/THINK]", "<think>", "</think>",
        "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>", "```json", "```",
        "<|channel|>", "analysis", "commentary", "final", "<|message|>", "<|start|>", "assistant", " to=functions.f", "<|end|>", "<|call|>",
        "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<tool_call>f", "<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.f:0",
        "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>", "<|tool_call|>", "<tool_calls>", "<|START_ACTION|>", "<|END_ACTION|>",
        "<|START_RESPONSE|>", "[{\"name\": \"f\", \"arguments\": {}}]", "<seed:tool_call>", "</seed:tool_call>", "<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>",
        "<｜DSML｜invoke name=\"f\">", "</｜DSML｜invoke>", "<｜DSML｜parameter name=\"a\" string=\"false\">", "</｜DSML｜parameter>", "<minimax:tool_call>",
        "<invoke name=\"f\">", "<parameter name=\"a\">", "</invoke>", "</minimax:tool_call>", "<|tool_call>", "call:f{", "a:", "<|\"|>", "<tool_call|>",
        "<", "</", "<|", "to", " ", "\n", "  ", "x", "1", "é", "😀", "{}",
    ];

    private static readonly Gen<string> Text = Gen.Int[0, Fragments.Length - 1].Array[0, 25].Select(picks => string.Concat(picks.Select(pick => Fragments[pick])));

    // What each format reads, so that random texts of a format get far into it.
    private static readonly Dictionary<string, string[]> Own = new(StringComparer.Ordinal)
    {
        ["glm"] = ["<tool_call>f", "<tool_call>g\n", "<arg_key>a</arg_key>", "<arg_key>b</arg_key>\n", "<arg_value>1</arg_value>", "<arg_value>x\n", "</arg_value>", "</tool_call>", "text", "<", "\n"],
        ["kimi-k2"] = ["<|tool_calls_section_begin|>", "<|tool_call_begin|>", "functions.f:0", "<|tool_call_argument_begin|>", "{\"a\": 1}", "{", "}", "<|tool_call_end|>", "<|tool_calls_section_end|>", "text", "<|", "\n"],
        ["json-list"] = ["<|tool_call|>", "<tool_calls>", "[", "{\"name\": \"f\", \"arguments\": {}}", ",", "]", "<|/tool_call|>", "</tool_calls>", "text", "<", " "],
        ["command-r"] = ["<|START_THINKING|>", "<|END_THINKING|>", "<|START_ACTION|>", "[", "{\"tool_name\": \"f\", \"parameters\": {}}", ",", "]", "<|END_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "text", " "],
        ["seed-oss"] = ["<seed:tool_call>", "<function=f>", "<parameter=a>", "x", "\n", "</parameter>", "</function>", "</seed:tool_call>", "text", "<"],
        ["deepseek-markup"] = ["<｜DSML｜tool_calls>", "<｜DSML｜invoke name=\"f\">", "<｜DSML｜parameter name=\"a\" string=\"false\">", "<｜DSML｜parameter name=\"b\">", "[1]", "\n", "</｜DSML｜parameter>", "</｜DSML｜invoke>", "</｜DSML｜tool_calls>", "text", "<"],
        ["minimax"] = ["<minimax:tool_call>", "<invoke name=\"f\">", "<parameter name=\"a\">", "x", "\n", "</parameter>", "</invoke>", "</minimax:tool_call>", "text", "<"],
        ["gemma"] = ["<|tool_call>call:f{", "a:", "b:", "<|\"|>", "1", "true", "[", "]", "{", "}", ",", "}<tool_call|>", "text", "<|channel>thought\n", "<channel|>", "<|"],
    };

    [Theory]
    [MemberData(nameof(Formats))]
    public void Any_cutting_of_the_text_gives_the_same_events(string format) =>
        Gen.Select(Text, Gen.Int[1, 7].Array[1, 8], Gen.Bool).Sample(
            (text, cuts, begun) => Answers.Events(format, text, cuts, begun).SequenceEqual(Answers.Events(format, text, [int.MaxValue], begun)), iter: 3000);

    [Theory]
    [MemberData(nameof(OwnFormats))]
    public void Any_cutting_of_a_format_s_own_pieces_gives_the_same_events_and_valid_calls(string format)
    {
        int calls = 0;
        Gen.Select(Gen.Int[0, Own[format].Length - 1].Array[1, 14], Gen.Int[1, 5].Array[1, 8]).Sample(
            (picks, cuts) =>
            {
                string text = string.Concat(picks.Select(pick => Own[format][pick]));
                List<AnswerEvent> whole = Answers.Events(format, text, [int.MaxValue]);
                ParsedAnswer answer = ParsedAnswer.From(whole);
                Interlocked.Add(ref calls, answer.ToolCalls.Count);
                return Answers.Events(format, text, cuts).SequenceEqual(whole)
                    && answer.ToolCalls.All(call => call.Name.Length > 0 && JsonScanner.IsValue(call.Arguments) && call.Arguments.StartsWith('{'));
            },
            iter: 5000);
        Assert.True(calls > 0, "no call among 5,000 texts");
    }

    [Theory]
    [InlineData("hermes", "<think>Hm</think>Ok <tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"é😀\"}}</tool_call> end")]
    [InlineData("qwen3-coder", "Ok\n<tool_call>\n<function=f>\n<parameter=a>\nx\n</parameter>\n</function>\n</tool_call>")]
    [InlineData("llama3-json", "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": [1, 2]}}; {\"name\": \"g\", \"parameters\": {}}")]
    [InlineData("pythonic", "[f(a='x', b=[1, None]), g()]")]
    [InlineData("mistral", "[THINK]Hm[/THINK]Ok[TOOL_CALLS]f[CALL_ID]abc[ARGS]{\"a\": 1}[TOOL_CALLS]g[ARGS]{}")]
    [InlineData("deepseek", "Ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>")]
    [InlineData("harmony", "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>")]
    [InlineData("glm", "<think>Hm</think>\n<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x</arg_value>\n</tool_call>\n<tool_call>g</tool_call>")]
    [InlineData("kimi-k2", "Ok<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}<|tool_call_end|><|tool_calls_section_end|>")]
    [InlineData("json-list", "Ok<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"arguments\": {}, \"name\": \"g\"}]<|/tool_call|>")]
    [InlineData("command-r", "<|START_THINKING|>Hm<|END_THINKING|><|START_ACTION|>[{\"tool_name\": \"f\", \"parameters\": {}}]<|END_ACTION|><|START_RESPONSE|>x<|END_RESPONSE|>")]
    [InlineData("seed-oss", "<seed:think>Hm</seed:think><seed:tool_call>\n<function=f>\n<parameter=a>x</parameter>\n</function>\n</seed:tool_call>")]
    [InlineData("deepseek-markup", "Ok\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" string=\"false\">[1]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>")]
    [InlineData("minimax", "<think>Hm</think><minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"a\">x</parameter>\n</invoke>\n</minimax:tool_call>")]
    [InlineData("gemma", "<|channel>thought\nHm<channel|>Ok<|tool_call>call:f{a:<|\"|>x<|\"|>,b:[1,{c:true}]}<tool_call|>")]
    public void Every_cut_of_a_call_in_two_and_every_char_by_itself_give_the_same_events(string format, string text)
    {
        List<AnswerEvent> whole = Answers.Events(format, text, [int.MaxValue]);
        Assert.Contains(whole, piece => piece.Kind == AnswerEventKind.CallEnded);
        Assert.Equal(whole, Answers.Events(format, text, [1]));
        for (int cut = 1; cut < text.Length; cut++)
        {
            Assert.Equal(whole, Answers.Events(format, text, [cut, int.MaxValue]));
        }
    }

    public static TheoryData<string> OwnFormats() => [.. Own.Keys];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Random_characters_never_throw_and_calls_are_valid(string format) =>
        Gen.Select(Gen.OneOf(Text, Gen.String), Text).Sample(
            (first, second) => AnswerParser.Parse(first + second, AnswerFormat.Parse(format), Answers.Options()).ToolCalls
                .All(call => call.Name.Length > 0 && JsonScanner.IsValue(call.Arguments) && call.Arguments.StartsWith('{')),
            iter: 3000);

    [Theory]
    [MemberData(nameof(Formats))]
    public void Text_without_calls_and_reasoning_comes_out_unchanged(string format) =>
        Text.Sample(
            text =>
            {
                ParsedAnswer answer = AnswerParser.Parse(text, AnswerFormat.Parse(format), Answers.Options());
                bool plain = answer.ToolCalls.Count == 0 && format is not ("harmony" or "command-r" or "json-list") && !text.Contains("think>", StringComparison.Ordinal)
                    && !text.Contains("THINK]", StringComparison.Ordinal);
                return !plain || answer.Content == text;
            },
            iter: 3000);

    public static TheoryData<string> Formats() => [.. AnswerFormat.Names];
}
