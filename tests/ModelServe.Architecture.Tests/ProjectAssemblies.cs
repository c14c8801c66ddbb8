using System.Reflection;

namespace ModelServe.Architecture.Tests;

/// <summary>The compiled projects and what each may reference.</summary>
internal static class ProjectAssemblies
{
    /// <summary>Project → the projects it may reference (the arrows of the architecture).</summary>
    public static IReadOnlyDictionary<string, string[]> AllowedArrows { get; } = new Dictionary<string, string[]>
    {
        ["ModelServe.Engine"] = [],
        ["ModelServe.Codec"] = [],
        ["ModelServe.Execution"] = ["ModelServe.Engine"],
        ["ModelServe.Api"] = ["ModelServe.Codec", "ModelServe.Engine"],
        ["ModelServe.Client"] = [],
        ["modelserve"] = ["ModelServe.Api", "ModelServe.Codec", "ModelServe.Engine", "ModelServe.Execution"],
    };

    /// <summary>All product assemblies.</summary>
    public static IEnumerable<Assembly> All => AllowedArrows.Keys.Select(Assembly.Load);

    /// <summary>Types that people wrote: without compiler-made and protobuf-made ones.</summary>
    public static IEnumerable<Type> WrittenTypes(Assembly assembly) => assembly.GetTypes().Where(type =>
        !type.IsNestedPrivate
        && !type.FullName!.Contains('<', StringComparison.Ordinal)
        && !IsGenerated(type)
        && !(type.Namespace ?? "").StartsWith("ModelServe.V1", StringComparison.Ordinal)
        && !(type.Namespace ?? "").StartsWith("ModelServe.Facades", StringComparison.Ordinal)
        && (type.Namespace ?? "").StartsWith("ModelServe", StringComparison.Ordinal));

    private static bool IsGenerated(Type type)
    {
        for (Type? at = type; at is not null; at = at.DeclaringType)
        {
            if (at.GetCustomAttributesData().Any(data => data.AttributeType.Name is "GeneratedCodeAttribute" or "CompilerGeneratedAttribute"))
            {
                return true;
            }
        }

        return false;
    }
}
