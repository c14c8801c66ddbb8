using System.Text.RegularExpressions;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>What a server does before it is ready, and the options about prompts beside answers.</summary>
public sealed partial class WarmUpOptionTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_warms_up_before_it_is_ready_and_counts_nothing_of_it()
    {
        using ModelServeProcess server = ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--warm-up", "0.3");
        string ready = await server.WaitForErrorTextAsync("ready: ", Cancellation);
        Match told = WarmedUp().Match(server.Errors);
        Assert.True(told.Success, server.Errors);
        Assert.True(int.Parse(told.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) > 0);
        Assert.Matches(@"started in \d+\.\d\d s", server.Errors);
        using HttpClient client = new();
        string page = await client.GetStringAsync(new Uri(HttpAddress().Match(ready).Groups[1].Value + "/metrics"), Cancellation);
        foreach (string counter in new[] { "vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:prefix_cache_queries_total", "vllm:iteration_tokens_total_count" })
        {
            Assert.Matches($@"(?m)^{counter}\{{[^}}]*\}} 0$", page);
        }

        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task Without_a_warm_up_none_is_told()
    {
        using ModelServeProcess server = ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--warm-up", "0");
        await server.WaitForErrorTextAsync("ready: ", Cancellation);
        Assert.DoesNotContain("warmed up", server.Errors, StringComparison.Ordinal);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Theory]
    [InlineData("--warm-up", "-1", "--warm-up: expected 0..600; got -1")]
    [InlineData("--prefill-stretch", "1", "--prefill-stretch: expected 0 or 1.05..1000; got 1")]
    [InlineData("--prefill-stretch", "NaN", "--prefill-stretch: expected 0 or 1.05..1000; got NaN")]
    public async Task A_value_out_of_range_is_refused(string option, string value, string told)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", $"{option}={value}");
        Assert.NotEqual(0, code);
        Assert.Contains(told, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_rules_for_the_same_are_refused()
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--prefill-stretch", "2", "--mixed-prefill-tokens", "32");
        Assert.NotEqual(0, code);
        Assert.Contains("--prefill-stretch: one of it and --mixed-prefill-tokens; got both", errors, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"tiny-mini: warmed up in \d+\.\d s, (\d+) steps")]
    private static partial Regex WarmedUp();

    [GeneratedRegex(@"HTTP (http://\S+)")]
    private static partial Regex HttpAddress();
}
