using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

/// <summary>Measures processor time, and so runs alone.</summary>
[CollectionDefinition(nameof(LinearTimeTests), DisableParallelization = true)]
[Collection(nameof(LinearTimeTests))]
public sealed class LinearTimeTests
{
    private static readonly string[] Units =
        ["(", "{\"", "[", " ", "\n", "<", "{\"a\":", "\"", "\n{\"name\":", "<tool_call>", "[TOOL_CALLS]", "<|channel|>", "{\"name\": \"", "\n</parameter"];

    [Theory]
    [InlineData("none", "")]
    [InlineData("reasoning", "<think>")]
    [InlineData("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": ")]
    [InlineData("qwen3-coder", "<tool_call><function=f><parameter=a>")]
    [InlineData("llama3-json", "{\"name\": \"f\", \"parameters\": ")]
    [InlineData("pythonic", "[f(a=")]
    [InlineData("mistral", "[TOOL_CALLS]f[ARGS]")]
    [InlineData("deepseek", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>")]
    [InlineData("harmony", "<|channel|>commentary to=functions.f<|message|>")]
    [InlineData("glm", "<tool_call>f<arg_key>a</arg_key><arg_value>")]
    [InlineData("kimi-k2", "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>")]
    [InlineData("json-list", "<|tool_call|>[{\"name\": \"f\", \"arguments\": ")]
    [InlineData("seed-oss", "<seed:tool_call><function=f><parameter=a>")]
    [InlineData("deepseek-markup", "<｜DSML｜tool_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\">")]
    [InlineData("minimax", "<minimax:tool_call><invoke name=\"f\"><parameter name=\"a\">")]
    [InlineData("gemma", "<|tool_call>call:f{a:")]
    public void A_hundred_thousand_adversarial_characters_take_less_than_50_ms(string format, string begin)
    {
        double slowest = 0;
        foreach (string text in Units.SelectMany(unit => new[] { unit, begin + unit }.Select(first => first + string.Concat(Enumerable.Repeat(unit, 100_000 / unit.Length)))))
        {
            double best = double.MaxValue;
            for (int attempt = 0; attempt < 10 && best >= 50; attempt++)
            {
                TimeSpan started = Environment.CpuUsage.TotalTime;
                AnswerParser.Parse(text, AnswerFormat.Parse(format), Answers.Options());
                best = Math.Min(best, (Environment.CpuUsage.TotalTime - started).TotalMilliseconds);
            }

            Assert.True(best < 50, $"{best:F1} ms for '{text[..40]}'");
            slowest = Math.Max(slowest, best);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{format}: at most {slowest:F1} ms");
    }
}
