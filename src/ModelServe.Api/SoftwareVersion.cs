using System.Reflection;

namespace ModelServe.Api;

/// <summary>What this server calls itself.</summary>
public static class SoftwareVersion
{
    /// <summary>The name.</summary>
    public const string Name = "modelserve";

    /// <summary>The version, as built.</summary>
    public static string Version { get; } =
        typeof(SoftwareVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? "unknown";
}
