using System.Globalization;
using System.Text.RegularExpressions;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>The table of faults in tests/README.md tells of tests that there are, and leaves no fault out.</summary>
public sealed partial class FaultListTests
{
    private const int Faults = 26;

    private static string Tests => Path.Combine(Repository.Root, "tests");

    [Fact]
    public void Every_fault_has_a_row_and_every_test_in_it_exists()
    {
        string[] rows = [.. File.ReadAllLines(Path.Combine(Tests, "README.md")).Where(line => Row().IsMatch(line))];
        Assert.Equal(Enumerable.Range(1, Faults), rows.Select(row => int.Parse(Row().Match(row).Groups[1].Value, CultureInfo.InvariantCulture)));
        string source = string.Concat(Directory.EnumerateDirectories(Tests, "ModelServe.*")
            .SelectMany(project => Directory.EnumerateFiles(project, "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal))
            .Select(File.ReadAllText));
        Assert.All(rows, row =>
        {
            string[] names = [.. Name().Matches(row).Select(match => match.Groups[1].Value)];
            Assert.NotEmpty(names);
            Assert.All(names, name => Assert.Contains($" {name}(", source, StringComparison.Ordinal));
        });
    }

    [GeneratedRegex(@"^\| (\d+) \|")]
    private static partial Regex Row();

    [GeneratedRegex("`([A-Z][A-Za-z0-9_]+_[a-z0-9_]+)`")]
    private static partial Regex Name();
}
