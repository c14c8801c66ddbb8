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
        "<", "</", "<|", "to", " ", "\n", "  ", "x", "1", "é", "😀", "{}",
    ];

    private static readonly Gen<string> Text = Gen.Int[0, Fragments.Length - 1].Array[0, 25].Select(picks => string.Concat(picks.Select(pick => Fragments[pick])));

    [Theory]
    [MemberData(nameof(Formats))]
    public void Any_cutting_of_the_text_gives_the_same_events(string format) =>
        Gen.Select(Text, Gen.Int[1, 7].Array[1, 8], Gen.Bool).Sample(
            (text, cuts, begun) => Answers.Events(format, text, cuts, begun).SequenceEqual(Answers.Events(format, text, [int.MaxValue], begun)), iter: 3000);

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
                bool plain = answer.ToolCalls.Count == 0 && format != "harmony" && !text.Contains("think>", StringComparison.Ordinal)
                    && !text.Contains("THINK]", StringComparison.Ordinal);
                return !plain || answer.Content == text;
            },
            iter: 3000);

    public static TheoryData<string> Formats() => [.. AnswerFormat.Names];
}
