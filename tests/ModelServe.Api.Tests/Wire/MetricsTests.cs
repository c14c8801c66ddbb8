using System.Globalization;
using ModelServe.Api.Tests.Observability;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

public sealed class MetricsTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    /// <summary>The value of the first sample of that name whose labels contain a text.</summary>
    internal static double Value(string page, string name, string label = "")
    {
        string line = page.Split('\n').First(
            line => line.StartsWith(name + "{", StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal));
        return double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task The_page_counts_what_requests_did()
    {
        await using WireServer server = await StartAsync();
        GenerationResult result = await server.Client.GenerateOnceAsync(Prompt(10), cancellationToken: Token);
        await server.QuiesceAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);

        Assert.Equal(10, result.Output.TokenIds.Count);
        Assert.Equal(7, Value(page, "vllm:prompt_tokens_total"));
        Assert.Equal(10, Value(page, "vllm:generation_tokens_total"));
        Assert.Equal(1, Value(page, "vllm:request_success_total", "finished_reason=\"length\""));
        Assert.Equal(0, Value(page, "vllm:num_requests_running"));
        Assert.Equal(0, Value(page, "vllm:kv_cache_usage_perc"));
        Assert.Equal(1, Value(page, "vllm:time_to_first_token_seconds_count"));
        Assert.Equal(1, Value(page, "vllm:e2e_request_latency_seconds_bucket", "le=\"+Inf\""));
        Assert.Equal(10, Value(page, "modelserve:tokens_sent_total"));
        Assert.Equal(1, Value(page, "vllm:cache_config_info", "block_size=\"16\",num_gpu_blocks=\"256\""));
    }

    [Fact]
    public async Task Every_histogram_is_cumulative_and_ends_at_infinity()
    {
        await using WireServer server = await StartAsync();
        await server.Client.GenerateOnceAsync(Prompt(40), cancellationToken: Token);
        await server.QuiesceAsync();
        string[] lines = (await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token)).Split('\n');

        foreach (string family in lines.Where(line => line.StartsWith("# TYPE", StringComparison.Ordinal) && line.EndsWith(" histogram", StringComparison.Ordinal))
            .Select(line => line.Split(' ')[2]))
        {
            foreach (IGrouping<string, string> series in lines.Where(line => line.StartsWith(family + "_bucket", StringComparison.Ordinal))
                .GroupBy(line => line[line.IndexOf('{', StringComparison.Ordinal)..line.IndexOf(",le=", StringComparison.Ordinal)]))
            {
                double[] buckets = [.. series.Select(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture))];
                Assert.Equal(buckets.Order(), buckets);
                Assert.Contains("le=\"+Inf\"", series.Last(), StringComparison.Ordinal);
                Assert.Equal(buckets[^1], Value(string.Join('\n', lines), family + "_count", series.Key[1..]));
            }
        }
    }

    [Fact]
    public async Task The_buckets_contain_those_of_vllm()
    {
        await using WireServer server = await StartAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        foreach (string bound in ".001 .005 .01 .02 .04 .06 .08 .1 .25 .5 .75 1 2.5 5 7.5 10 20 40 80 160 640 2560".Split(' '))
        {
            string text = double.Parse(bound, CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture);
            Assert.Equal(0, Value(page, "vllm:time_to_first_token_seconds_bucket", $"le=\"{text}\""));
        }
    }

    [Fact]
    public async Task Refusals_are_counted_by_reason()
    {
        await using WireServer server = await StartAsync();
        await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(() => server.Client.GenerateOnceAsync(Prompt(0), cancellationToken: Token));
        await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(() => server.Client.GenerateOnceAsync(
            new GenerateRequest { Model = "nothing", Text = "x" }, cancellationToken: Token));
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal(1, Value(page, "modelserve:requests_rejected_total", "reason=\"InvalidField\""));
        Assert.Equal(1, Value(page, "modelserve:requests_without_model_total"));
    }

    [Fact]
    public async Task The_version_is_told()
    {
        await using WireServer server = await StartAsync();
        Assert.Contains("modelserve", await server.Http.GetStringAsync(new Uri("/version", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_step_histogram_counts_the_tokens_of_each_step()
    {
        await using WireServer server = await StartAsync();
        await server.Client.GenerateOnceAsync(Prompt(10), cancellationToken: Token);
        await server.QuiesceAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal(7 + 9, Value(page, "vllm:iteration_tokens_total_sum"));
        Assert.Equal(9, Value(page, "vllm:iteration_tokens_total_bucket", "le=\"1\""));
        Assert.Equal(10, Value(page, "modelserve:engine_step_seconds_count"));
    }

    [Fact]
    public async Task OpenMetrics_is_answered_to_those_who_ask_for_it()
    {
        await using WireServer server = await StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/metrics", UriKind.Relative));
        request.Headers.Add("Accept", "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5");
        using HttpResponseMessage response = await server.Http.SendAsync(request, Token);
        string page = await response.Content.ReadAsStringAsync(Token);
        Assert.Equal("application/openmetrics-text", response.Content.Headers.ContentType?.MediaType);
        Assert.EndsWith("# EOF\n", page, StringComparison.Ordinal);
        Assert.Contains("# TYPE vllm:generation_tokens counter\nvllm:generation_tokens_total{", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_metric_stands_in_the_operations_page_and_every_metric_of_that_page_exists()
    {
        await using WireServer server = await StartAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        string[] served = [.. page.Split('\n').Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line[7..])];
        Assert.Equal(served.Order(StringComparer.Ordinal), MetricTable.Documented().Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("iteration_tokens_total", "1 8 16 32 64 128 256 512 1024 2048 4096 8192 16384")]
    [InlineData("inter_token_latency_seconds", ".01 .025 .05 .075 .1 .15 .2 .3 .4 .5 .75 1 2.5 5 7.5 10 20 40 80")]
    [InlineData("e2e_request_latency_seconds", ".3 .5 .8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680")]
    [InlineData("request_queue_time_seconds", ".3 .5 .8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680")]
    public async Task The_buckets_contain_every_bound_of_vllm(string name, string bounds)
    {
        await using WireServer server = await StartAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        foreach (string bound in bounds.Split(' '))
        {
            string text = double.Parse(bound, CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture);
            Assert.Equal(0, Value(page, $"vllm:{name}_bucket", $"le=\"{text}\""));
        }
    }
}
