using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace ModelServe.Architecture.Tests;

/// <summary>The rules of the house that can be read off the source files.</summary>
public sealed partial class SourceRuleTests
{
    private const int MaxLines = 400;

    [Fact]
    public void No_source_file_is_longer_than_400_lines() =>
        Assert.DoesNotContain(SourceTree.Code("src", "native", "tests", "benchmarks", "models"), file => SourceTree.Lines(file).Length > MaxLines);

    [Fact]
    public void The_line_rule_looks_at_files_of_every_kind()
    {
        IReadOnlyList<string> files = SourceTree.Code("src", "native", "tests", "benchmarks", "models");
        Assert.Contains(files, file => file.EndsWith(".proto", StringComparison.Ordinal));
        Assert.Contains("tests/ModelServe.Architecture.Tests/SourceRuleTests.cs", files);
        Assert.True(files.Count > 100, "only " + files.Count + " files found");
    }

    [Fact]
    public void No_file_is_a_room_without_a_concept() =>
        Assert.DoesNotContain(SourceTree.Code("src", "benchmarks", "models", "tests"), file => CatchAllName().IsMatch(file));

    [Theory]
    [InlineData("src/A/StringUtils.cs")]
    [InlineData("src/A/BlockManager.cs")]
    [InlineData("src/A/Common/Block.cs")]
    [InlineData("src/A/TestHelpers.cs")]
    public void A_catch_all_name_is_caught(string file) => Assert.Matches(CatchAllName(), file);

    [Fact]
    public void Each_file_of_the_product_is_named_after_its_first_type()
    {
        List<string> misnamed = [];
        // A closed family of syntax-tree records shares one file under the family's name; Program has no type of its own.
        string[] exempt = ["Nodes.cs", "Program.cs"];
        foreach (string file in SourceTree.Code("src").Where(file => file.EndsWith(".cs", StringComparison.Ordinal) && !exempt.Any(file.EndsWith)))
        {
            string expected = Path.GetFileNameWithoutExtension(file).Split('.')[0];
            string? first = SourceTree.Lines(file).Select(line => TypeDeclaration().Match(line)).FirstOrDefault(match => match.Success)?.Groups["name"].Value;
            if (first is not null && first != expected && !SourceTree.Lines(file).Any(line => TypeDeclaration().Match(line).Groups["name"].Value == expected))
            {
                misnamed.Add(file + " declares " + first);
            }
        }

        Assert.True(misnamed.Count == 0, string.Join("\n", misnamed));
    }

    [Fact]
    public void Engine_takes_no_lock() =>
        Assert.Empty(SourceTree.Code("src/ModelServe.Engine").SelectMany(file => SourceTree.Lines(file).Where(line => LockStatement().IsMatch(line)).Select(line => file + ": " + line)));

    [Theory]
    [InlineData("        lock (_gate)")]
    [InlineData("lock(this)")]
    public void A_lock_statement_is_caught(string line) => Assert.Matches(LockStatement(), line);

    [Fact]
    public void Nothing_unfinished_lands()
    {
        Regex unfinished = new(string.Join('|', "NotImplemented" + "Exception", @"\bTO" + @"DO\b", @"\bFIX" + @"ME\b", @"\bHA" + @"CK\b"));
        Assert.Empty(SourceTree.Code("src", "native", "tests", "benchmarks", "models")
            .SelectMany(file => SourceTree.Lines(file).Where(line => unfinished.IsMatch(line)).Select(line => file + ": " + line.Trim())));
    }

    [Fact]
    public void The_repository_names_no_machine_path_and_no_registry_host()
    {
        Regex foreign = new(@"(^|[^A-Za-z0-9_.])/(wo" + @"rk|fa" + @"rm|ro" + @"ot)/|https?://[^ ]*(nu" + "get|np" + "mjs|deb" + "ian)");
        Assert.Empty(SourceTree.Text().Where(file => !file.EndsWith("packages.lock.json", StringComparison.Ordinal))
            .SelectMany(file => SourceTree.Lines(file).Where(line => foreign.IsMatch(line)).Select(line => file + ": " + line.Trim())));
    }

    [Fact]
    public void Folders_are_at_most_two_deep_in_a_project() =>
        Assert.DoesNotContain(SourceTree.Code("src"), file => file.EndsWith(".cs", StringComparison.Ordinal) && file.Split('/').Length > 5);

    [Fact]
    public void No_type_holds_mutable_static_state()
    {
        IEnumerable<string> fields = ProjectAssemblies.All.SelectMany(ProjectAssemblies.WrittenTypes).SelectMany(MutableStatics);
        Assert.Empty(fields);
    }

    [Fact]
    public void A_mutable_static_field_is_caught() => Assert.Equal(["PlantedState._count"], MutableStatics(typeof(PlantedState)).Select(name => name.Split('+')[^1]));

    private static IEnumerable<string> MutableStatics(Type type) =>
        type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            .Where(field => !field.IsInitOnly && !field.IsLiteral && !field.Name.Contains('<', StringComparison.Ordinal))
            .Select(field => type.FullName + "." + field.Name);

    [GeneratedRegex(@"(Utils?|Helpers?|Manager|Common|Misc)(\.|/)|/(utils?|helpers?|common|misc)/", RegexOptions.IgnoreCase)]
    private static partial Regex CatchAllName();

    [GeneratedRegex(@"^\s*(public|internal|private|file)?\s*((static|sealed|abstract|partial|readonly|unsafe|ref)\s+)*(class|struct|interface|enum|record(\s+struct|\s+class)?)\s+(?<name>[A-Za-z_][A-Za-z0-9_]*)")]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"^\s*lock\s*\(")]
    private static partial Regex LockStatement();

    /// <summary>A planted violation, so that the rule is seen to fail.</summary>
    private static class PlantedState
    {
        private static int _count = 1;

        public static int Next() => _count++;
    }
}
