using System.Reflection;
using Xunit;

namespace ModelServe.Architecture.Tests;

/// <summary>Projects see each other only along the drawn arrows, and tensors stay in Execution.</summary>
public sealed class ArrowTests
{
    [Fact]
    public void Projects_reference_each_other_only_along_the_arrows()
    {
        List<string> broken = [];
        foreach (Assembly assembly in ProjectAssemblies.All)
        {
            string name = assembly.GetName().Name!;
            broken.AddRange(ForbiddenArrows(name, References(assembly)));
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void A_planted_arrow_from_Engine_to_Execution_is_caught() =>
        Assert.Equal(["ModelServe.Engine -> ModelServe.Execution"], ForbiddenArrows("ModelServe.Engine", ["System.Runtime", "ModelServe.Execution"]));

    [Fact]
    public void Only_Execution_knows_the_tensor_library()
    {
        IEnumerable<string> users = ProjectAssemblies.All.Where(a => References(a).Contains("TorchSharp")).Select(a => a.GetName().Name!);
        Assert.Equal(["ModelServe.Execution"], users);
    }

    [Fact]
    public void Engine_needs_nothing_but_the_framework() =>
        Assert.DoesNotContain(References(Assembly.Load("ModelServe.Engine")), name => !name.StartsWith("System", StringComparison.Ordinal));

    [Fact]
    public void Codec_needs_nothing_but_the_framework_and_the_tokenizer_base_class() =>
        Assert.DoesNotContain(
            References(Assembly.Load("ModelServe.Codec")),
            name => !name.StartsWith("System", StringComparison.Ordinal) && name != "Microsoft.ML.Tokenizers");

    private static List<string> References(Assembly assembly) => [.. assembly.GetReferencedAssemblies().Select(reference => reference.Name!)];

    private static List<string> ForbiddenArrows(string project, IEnumerable<string> references) =>
        [.. references.Where(name => name.StartsWith("ModelServe", StringComparison.OrdinalIgnoreCase) && !ProjectAssemblies.AllowedArrows[project].Contains(name))
            .Select(name => project + " -> " + name)];
}
