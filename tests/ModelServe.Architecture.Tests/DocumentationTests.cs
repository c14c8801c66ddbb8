using System.Reflection;
using System.Xml.Linq;
using Xunit;

namespace ModelServe.Architecture.Tests;

/// <summary>Every type of the product, public or not, says what it guarantees.</summary>
public sealed class DocumentationTests
{
    [Fact]
    public void Every_type_is_documented()
    {
        List<string> missing = [];
        foreach (Assembly assembly in ProjectAssemblies.All)
        {
            XDocument docs = XDocument.Load(Path.ChangeExtension(assembly.Location, ".xml"));
            missing.AddRange(Undocumented(ProjectAssemblies.WrittenTypes(assembly).Select(type => type.FullName!.Replace('+', '.')), docs));
        }

        Assert.True(missing.Count == 0, string.Join("\n", missing));
    }

    [Fact]
    public void A_type_without_a_summary_is_caught()
    {
        XDocument docs = XDocument.Parse("<doc><members><member name='T:A.Known'><summary>x</summary></member></members></doc>");
        Assert.Equal(["A.Unknown"], Undocumented(["A.Known", "A.Unknown"], docs));
    }

    private static List<string> Undocumented(IEnumerable<string> types, XDocument docs)
    {
        HashSet<string> known = [.. docs.Descendants("member")
            .Where(member => !string.IsNullOrWhiteSpace(member.Element("summary")?.Value) || member.Element("inheritdoc") is not null)
            .Select(member => (string)member.Attribute("name")!)];
        return [.. types.Where(type => !known.Contains("T:" + type)).Order(StringComparer.Ordinal)];
    }
}
