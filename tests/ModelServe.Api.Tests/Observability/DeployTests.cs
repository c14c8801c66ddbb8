using System.Text.Json;
using System.Text.RegularExpressions;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.Observability;

/// <summary>The dashboard and the alerts ask only for metrics that the server has.</summary>
public sealed partial class DeployTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task Every_metric_of_the_dashboard_and_of_the_alerts_is_served()
    {
        await using WireServer server = await StartAsync();
        string page = await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        HashSet<string> served = [.. Served(page)];
        string[] asked = [.. DashboardQueries().Concat(AlertQueries()).SelectMany(Names).Distinct()];
        Assert.True(asked.Length > 25, $"only {asked.Length} metrics were found");
        Assert.DoesNotContain(asked, name => !served.Contains(name));
    }

    [Fact]
    public void A_metric_that_is_not_served_is_caught() =>
        Assert.Equal(["vllm:nothing_total"], Names("sum(rate(vllm:nothing_total{model_name=\"a\"}[1m]))").Except(Served("# TYPE vllm:other_total counter")));

    private static IEnumerable<string> Served(string page)
    {
        yield return "up";
        foreach (string[] words in page.Split('\n').Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line.Split(' ')))
        {
            if (words[3] != "histogram")
            {
                yield return words[2];
                continue;
            }

            yield return words[2] + "_bucket";
            yield return words[2] + "_sum";
            yield return words[2] + "_count";
        }
    }

    private static IEnumerable<string> DashboardQueries()
    {
        using JsonDocument board = JsonDocument.Parse(File.ReadAllText(Path.Combine(MetricTable.Root, "deploy", "grafana", "modelserve.json")));
        return
        [
            .. board.RootElement.GetProperty("panels").EnumerateArray()
                .Where(panel => panel.TryGetProperty("targets", out _))
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
                .Select(target => target.GetProperty("expr").GetString()!),
        ];
    }

    /// <summary>Everything between "expr:" and the next key of each rule.</summary>
    private static IEnumerable<string> AlertQueries() => AlertQuery()
        .Matches(File.ReadAllText(Path.Combine(MetricTable.Root, "deploy", "prometheus", "alerts.yml"))).Select(match => match.Groups["query"].Value);

    private static IEnumerable<string> Names(string query) =>
        MetricName().Matches(Labels().Replace(query, string.Empty)).Select(match => match.Value);

    [GeneratedRegex(@"expr:(?<query>.*?)\n\s+(for|labels):", RegexOptions.Singleline)]
    private static partial Regex AlertQuery();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Labels();

    [GeneratedRegex(@"\b(vllm|modelserve):[a-z_0-9]+|\b(process|gen_ai)_[a-z_0-9]+|\bup\b")]
    private static partial Regex MetricName();
}
