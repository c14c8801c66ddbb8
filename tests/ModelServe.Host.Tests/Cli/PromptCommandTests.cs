using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>The commands for people who debug prompts: tokenize, render, parse over standard input.</summary>
public sealed class PromptCommandTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Tokenize_answers_a_line_a_line_and_goes_on_after_a_bad_one()
    {
        JsonNode[] lines = await RunAsync("\"Hi 天气 \\ud83d\\ude00\"\nnot json\n17\n\"x\\ud800y\"\n", "tokenize", "--jsonl");
        Assert.Equal(4, lines.Length);
        Assert.Equal(lines[0]["ids"]!.AsArray().Count, lines[0]["tokens"]!.AsArray().Count);
        Assert.StartsWith("line 2: not JSON", (string?)lines[1]["err"], StringComparison.Ordinal);
        Assert.StartsWith("line 3: expected a JSON string", (string?)lines[2]["err"], StringComparison.Ordinal);
        Assert.NotEmpty(lines[3]["ids"]!.AsArray());
    }

    [Fact]
    public async Task Decode_takes_back_what_tokenize_printed()
    {
        string[] texts = ["Hi 天气 😀", "", " a\n\tb", "<|im_end|>"];
        JsonNode[] encoded = await RunAsync(string.Concat(texts.Select(text => JsonSerializer.Serialize(text) + "\n")), "tokenize", "--jsonl", "--no-special");
        string ids = string.Concat(encoded.Select(line => line["ids"]!.ToJsonString() + "\n" + line.ToJsonString() + "\n"));
        JsonNode[] decoded = await RunAsync(ids + "{\"ids\": [-1]}\n", "tokenize", "--decode");
        Assert.Equal(texts.SelectMany(text => new[] { text, text }), decoded[..^1].Select(line => (string?)line));
        Assert.Equal("line 9: ids[0]: expected an integer of 0..2147483647; got -1", (string?)decoded[^1]["err"]);
    }

    [Fact]
    public async Task Tokenize_prints_the_ids_that_the_single_text_gets()
    {
        (_, string single, _) = await ModelServeProcess.RunAsync(Cancellation, "tokenize", "Reverse \"abc\".");
        JsonNode[] lines = await RunAsync("\"Reverse \\\"abc\\\".\"\n", "tokenize", "--jsonl");
        Assert.Equal(single.Trim(), lines[0]["ids"]!.ToJsonString());
    }

    [Fact]
    public async Task Render_of_a_template_sees_the_context_and_its_clock()
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(
                file,
                "{{ strftime_now('%Y-%m-%d %H') }}{% for m in messages %} {{ m.role }}:{{ m.content }}{% else %}{{ raise_exception('no messages') }}{% endfor %}",
                Cancellation);
            JsonNode[] lines = await RunAsync(
                "{\"messages\": [{\"role\": \"user\", \"content\": \"é <b>\"}], \"now\": \"2026-01-05T09:07:03+05:00\"}\n{\"messages\": []}\n[]\n{\"now\": \"soon\"}\n",
                "render", "--template", file);
            Assert.Equal("2026-01-05 09 user:é <b>", (string?)lines[0]["ok"]);
            Assert.Equal("no messages", (string?)lines[1]["err"]);
            Assert.StartsWith("line 3: expected a JSON object", (string?)lines[2]["err"], StringComparison.Ordinal);
            Assert.StartsWith("line 4: now:", (string?)lines[3]["err"], StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Render_of_a_model_ends_where_the_answer_begins_only_when_asked()
    {
        JsonNode[] lines = await RunAsync(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}\n{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"add_generation_prompt\": true}\n",
            "render", "--model", "tiny-mini");
        string plain = (string?)lines[0]["ok"] ?? "";
        string prompt = (string?)lines[1]["ok"] ?? "";
        Assert.Contains("Hello", plain, StringComparison.Ordinal);
        Assert.StartsWith(plain, prompt, StringComparison.Ordinal);
        Assert.True(prompt.Length > plain.Length);
    }

    [Fact]
    public async Task Parse_splits_content_reasoning_and_calls()
    {
        JsonNode[] lines = await RunAsync(
            "<think>\nHm\n</think>\n\nLet me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"é\"}}\n</tool_call>", "parse", "--format", "hermes");
        JsonNode answer = Assert.Single(lines);
        Assert.Equal("Let me see.", (string?)answer["content"]);
        Assert.Equal("Hm", (string?)answer["reasoning"]);
        JsonNode call = Assert.Single(answer["tool_calls"]!.AsArray())!;
        Assert.Equal("f", (string?)call["name"]);
        Assert.Equal("{\"a\": \"é\"}", (string?)call["arguments"]);
        Assert.StartsWith("call_", (string?)call["id"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Parse_takes_the_format_from_a_model()
    {
        JsonNode answer = Assert.Single(await RunAsync("plain text\n", "parse", "--model", "tiny-mini"));
        Assert.Equal("plain text\n", (string?)answer["content"]);
        Assert.Null(answer["reasoning"]);
        Assert.Empty(answer["tool_calls"]!.AsArray());
    }

    [Theory]
    [InlineData(1, "got 'xml'", "parse", "--format", "xml")]
    [InlineData(1, "give --format or --model", "parse")]
    [InlineData(1, "give --model or --template", "render")]
    [InlineData(1, "give a text, or --jsonl or --decode", "tokenize")]
    [InlineData(1, "no-such-template", "render", "--template", "no-such-template")]
    public async Task What_is_missing_or_unknown_is_named(int code, string message, params string[] arguments)
    {
        (int actual, _, string errors) = await ModelServeProcess.RunWithInputAsync("", Cancellation, arguments);
        Assert.Equal(code, actual);
        Assert.Contains(message, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    private static async Task<JsonNode[]> RunAsync(string input, params string[] arguments)
    {
        (int code, string output, string errors) = await ModelServeProcess.RunWithInputAsync(input, Cancellation, arguments);
        Assert.True(code == 0, errors);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
    }
}
