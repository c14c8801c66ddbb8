using System.Text.Json;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>The commands as a user types them, over the shipped models.</summary>
public sealed class CommandLineTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_answers_a_sum_and_nothing_else_on_standard_output()
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "What is 27 + 58?");
        Assert.True(code == 0, errors);
        Assert.Equal("85\n", output);
        Assert.Equal("", errors);
    }

    [Fact]
    public async Task Run_as_json_prints_a_line_a_token_and_one_for_the_ending()
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(
            Cancellation, "run", "--json", "--logprobs", "3", "What is 27 + 58?");
        Assert.True(code == 0, errors);
        JsonElement[] lines = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        Assert.Equal("85", string.Concat(lines[..^1].Select(line => line.GetProperty("text").GetString())));
        foreach (JsonElement line in lines[..^1])
        {
            Assert.Equal(3, line.GetProperty("top").GetArrayLength());
            Assert.Equal(line.GetProperty("id").GetInt32(), line.GetProperty("top")[0][0].GetInt32());
            Assert.InRange(line.GetProperty("logprob").GetDouble(), -20.0, 0.0);
        }

        Assert.Equal("stop", lines[^1].GetProperty("finish_reason").GetString());
        Assert.Equal(lines.Length - 1, lines[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.True(lines[^1].GetProperty("timings").TryGetProperty("prefill_ms", out _));
    }

    [Fact]
    public async Task Run_of_token_ids_equals_run_of_the_same_text()
    {
        (_, string ids, _) = await ModelServeProcess.RunAsync(Cancellation, "tokenize", "Reverse \"abc\".");
        string list = ids.Trim().Trim('[', ']');
        (int code, string fromIds, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "--token-ids", list, "--max-tokens", "8", "--ignore-eos");
        Assert.True(code == 0, errors);
        (_, string fromText, _) = await ModelServeProcess.RunAsync(Cancellation, "run", "--raw", "--max-tokens", "8", "--ignore-eos", "Reverse \"abc\".");
        Assert.Equal(fromText, fromIds);
    }

    [Fact]
    public async Task A_seed_repeats_a_draw()
    {
        string[] arguments = ["run", "--temperature", "2", "--seed", "7", "--max-tokens", "24", "--ignore-eos", "Good morning!"];
        (_, string first, _) = await ModelServeProcess.RunAsync(Cancellation, arguments);
        (_, string second, _) = await ModelServeProcess.RunAsync(Cancellation, arguments);
        Assert.Equal(first, second);
        arguments[4] = "8";
        (_, string other, _) = await ModelServeProcess.RunAsync(Cancellation, arguments);
        Assert.NotEqual(first, other);
    }

    [Fact]
    public async Task Inspect_tells_architecture_parameters_and_memory()
    {
        (int code, string output, _) = await ModelServeProcess.RunAsync(Cancellation, "inspect", "tiny-mini");
        Assert.Equal(0, code);
        Assert.Contains("Qwen3ForCausalLM", output, StringComparison.Ordinal);
        Assert.Contains("parameters", output, StringComparison.Ordinal);
        Assert.Contains("key-value blocks", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temperature", "NaN", "--temperature")]
    [InlineData("--temperature", "-1", "--temperature: expected 0..100; got -1")]
    [InlineData("--top-p", "0", "--top-p")]
    [InlineData("--max-tokens", "0", "--max-tokens: expected 1..1048576; got 0")]
    [InlineData("--token-ids", "1,x", "got 'x'")]
    [InlineData("--device", "tpu", "--device: expected auto, cpu, cuda or cuda:N; got 'tpu'")]
    [InlineData("--kv-memory", "lots", "--kv-memory")]
    public async Task A_bad_option_is_named_with_its_range_and_value(string option, string value, string message)
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(
            Cancellation, option == "--token-ids" ? ["run", option, value] : ["run", option, value, "hello"]);
        Assert.NotEqual(0, code);
        Assert.Contains(message, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors + output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--logprobs: only --json", "run", "--logprobs", "2", "hello")]
    [InlineData("--raw: --token-ids", "run", "--raw", "--token-ids", "1,2")]
    public async Task An_option_without_effect_is_refused(string message, params string[] arguments)
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, arguments);
        Assert.NotEqual(0, code);
        Assert.Contains(message, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors + output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_checkpoint_is_one_line_on_standard_error()
    {
        (int code, string output, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "--model", "no-such-folder", "hello");
        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.Contains("no-such-folder", errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    [Fact]
    public async Task A_token_id_outside_the_vocabulary_is_refused_with_the_limit()
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "run", "--token-ids", "1,999999");
        Assert.Equal(1, code);
        Assert.Contains("999999", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_beyond_loopback_is_refused_without_the_explicit_word()
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--grpc", "0.0.0.0:0");
        Assert.Equal(2, code);
        Assert.Contains("--allow-insecure-remote", errors, StringComparison.Ordinal);
    }
}
