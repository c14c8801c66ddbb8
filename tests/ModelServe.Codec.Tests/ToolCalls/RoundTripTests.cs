using System.Text.Json.Nodes;
using CsCheck;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.ToolCalls;

public sealed class RoundTripTests
{
    private static readonly Gen<string> Word = Pick("city", "unit", "a_b", "x1", "Name");
    private static readonly Gen<string> Value = Gen.OneOf(Pick("Paris", "a \"b\"\\", "l1\nl2", "", "天气 😀", "{}", "</tool", "[ARGS", "<|cal", "`` `"), Gen.String[Gen.Char[' ', '~'], 0, 12]);
    private static readonly Gen<JsonNode?> Leaf = Gen.OneOf(
        Value.Select(text => (JsonNode?)JsonValue.Create(text)),
        Gen.Int.Select(number => (JsonNode?)JsonValue.Create(number)),
        Gen.Bool.Select(flag => (JsonNode?)JsonValue.Create(flag)));

    private static readonly Gen<JsonObject> Arguments = Gen.Select(Word, Leaf, Leaf.Array[0, 3]).Array[0, 4].Select(entries =>
    {
        var result = new JsonObject();
        foreach ((string key, JsonNode? value, JsonNode?[] items) in entries)
        {
            result[key] = items.Length == 0 ? value?.DeepClone() : items.Length == 1 ? new JsonObject { [key] = items[0]?.DeepClone() } : new JsonArray([.. items.Select(item => item?.DeepClone())]);
        }

        return result;
    });

    private static readonly Gen<(string Name, JsonObject Arguments)[]> Calls = Gen.Select(Word, Arguments).Array[1, 3].Select(calls => calls.Select(call => (call.Item1, call.Item2)).ToArray());

    [Theory]
    [InlineData("hermes", "<tool_call>\n{\"name\": \"%N\", \"arguments\": %A}\n</tool_call>", "\n")]
    [InlineData("llama3-json", "{\"name\": \"%N\", \"parameters\": %A}", "; ")]
    [InlineData("llama3-json", "<|python_tag|>{\"name\": \"%N\", \"parameters\": %A}", "")]
    [InlineData("mistral", "[TOOL_CALLS]%N[ARGS]%A", "")]
    [InlineData("mistral", "[TOOL_CALLS][{\"arguments\": %A, \"name\": \"%N\", \"id\": \"123456789\"}]", "")]
    [InlineData("deepseek", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>%N\n```json\n%A\n```<｜tool▁call▁end｜>", "\n")]
    [InlineData("deepseek", "<｜tool▁call▁begin｜>%N<｜tool▁sep｜>%A<｜tool▁call▁end｜>", "")]
    [InlineData("harmony", "<|start|>assistant to=functions.%N<|channel|>commentary json<|message|>%A<|call|>", "")]
    public void Calls_written_as_json_come_back(string format, string pattern, string separator) => Calls.Sample(
        calls =>
        {
            string text = string.Join(separator, calls.Select(call =>
                pattern.Replace("%N", call.Name, StringComparison.Ordinal).Replace("%A", call.Arguments.ToJsonString(), StringComparison.Ordinal)));
            return Same(format, text, calls);
        },
        iter: 1000);

    [Fact]
    public void Calls_written_as_python_come_back() => Calls.Sample(
        calls => Same("pythonic", "[" + string.Join(", ", calls.Select(call => call.Name + "(" + string.Join(", ", call.Arguments.Select(entry => entry.Key + "=" + Python(entry.Value))) + ")")) + "]", calls),
        iter: 1000);

    [Fact]
    public void Text_values_written_as_elements_come_back() => Gen.Select(Word, Gen.Select(Word, Value).Array[0, 4]).Sample(
        (name, entries) =>
        {
            var arguments = new JsonObject();
            foreach ((string key, string value) in entries)
            {
                arguments[key] = value;
            }

            string text = $"<tool_call>\n<function={name}>\n" + string.Concat(arguments.Select(entry => $"<parameter={entry.Key}>\n{entry.Value}\n</parameter>\n")) + "</function>\n</tool_call>";
            return Same("qwen3-coder", text, [(name, arguments)]);
        },
        iter: 1000);

    private static Gen<string> Pick(params string[] choices) => Gen.Int[0, choices.Length - 1].Select(pick => choices[pick]);

    private static bool Same(string format, string text, (string Name, JsonObject Arguments)[] calls)
    {
        ParsedAnswer answer = AnswerParser.Parse(text, AnswerFormat.Parse(format));
        return answer.Content.Length == 0 && answer.ToolCalls.Count == calls.Length
            && answer.ToolCalls.Zip(calls).All(pair => pair.First.Name == pair.Second.Name && JsonNode.DeepEquals(JsonNode.Parse(pair.First.Arguments), pair.Second.Arguments));
    }

    private static string Python(JsonNode? value) => value switch
    {
        JsonObject entries => "{" + string.Join(", ", entries.Select(entry => $"'{entry.Key}': {Python(entry.Value)}")) + "}",
        JsonArray items => "[" + string.Join(", ", items.Select(Python)) + "]",
        JsonValue leaf when leaf.TryGetValue(out bool flag) => flag ? "True" : "False",
        JsonValue leaf when leaf.TryGetValue(out string? text) => "'" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal) + "'",
        _ => value!.ToJsonString(),
    };
}
