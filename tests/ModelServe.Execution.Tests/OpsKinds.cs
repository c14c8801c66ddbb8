using ModelServe.Execution.Loading;

namespace ModelServe.Execution.Tests;

/// <summary>The implementations that every parity test runs on.</summary>
public static class OpsKinds
{
    /// <summary>Without <see cref="OpsKind.Auto"/>, which is one of them.</summary>
    public static IReadOnlyList<OpsKind> All { get; } = [OpsKind.Torch];
}
