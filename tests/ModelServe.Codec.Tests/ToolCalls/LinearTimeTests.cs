using System.Diagnostics;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class LinearTimeTests
{
    [Theory]
    [MemberData(nameof(Cases))]
    public void A_hundred_thousand_adversarial_characters_take_less_than_50_ms(string format, string begin, string unit)
    {
        string text = begin + string.Concat(Enumerable.Repeat(unit, 100_000 / unit.Length));
        double best = double.MaxValue;
        for (int attempt = 0; attempt < 8 && best >= 50; attempt++)
        {
            long started = Stopwatch.GetTimestamp();
            AnswerParser.Parse(text, AnswerFormat.Parse(format), Answers.Options());
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        Assert.True(best < 50, $"{best:F1} ms");
    }

    public static TheoryData<string, string, string> Cases()
    {
        var cases = new TheoryData<string, string, string>();
        foreach (string format in AnswerFormat.Names)
        {
            string begin = format switch
            {
                "hermes" => "<tool_call>{\"name\": \"f\", \"arguments\": ",
                "qwen3-coder" => "<tool_call><function=f><parameter=a>",
                "llama3-json" => "{\"name\": \"f\", \"parameters\": ",
                "pythonic" => "[f(a=",
                "mistral" => "[TOOL_CALLS]f[ARGS]",
                "deepseek" => "<｜tool▁call▁begin｜>f<｜tool▁sep｜>",
                "harmony" => "<|channel|>commentary to=functions.f<|message|>",
                _ => "",
            };
            foreach (string unit in (string[])["(", "{\"", "[", " ", "\n", "<", "{\"a\":", "\"", "\n{\"name\":", "<tool_call>", "[TOOL_CALLS]", "<|channel|>", "{\"name\": \"", "\n</parameter"])
            {
                cases.Add(format, "", unit);
                cases.Add(format, begin, unit);
            }
        }

        return cases;
    }
}
