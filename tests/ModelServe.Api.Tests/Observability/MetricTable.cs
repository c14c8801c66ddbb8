using System.Text.RegularExpressions;

namespace ModelServe.Api.Tests.Observability;

/// <summary>The repository's pages and files that name metrics.</summary>
internal static partial class MetricTable
{
    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>"name kind" of every row of the metric tables in docs/operations.md.</summary>
    public static IReadOnlyList<string> Documented() =>
    [
        .. File.ReadLines(Path.Combine(Root, "docs", "operations.md"))
            .Select(line => Row().Match(line))
            .Where(match => match.Success)
            .Select(match => $"{match.Groups["name"].Value} {match.Groups["kind"].Value}"),
    ];

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "ModelServe.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("the tests run outside the repository");
    }

    [GeneratedRegex(@"^\| `(?<name>[a-z_:0-9]+)` \| (?<kind>gauge|counter|histogram) \|")]
    private static partial Regex Row();
}
