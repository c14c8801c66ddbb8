using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Tests;

/// <summary>The implementations that every parity test runs on.</summary>
internal static class OpsKinds
{
    /// <summary>Without <see cref="OpsKind.Auto"/>, which is one of them.</summary>
    public static IReadOnlyList<OpsKind> All { get; } = [OpsKind.Torch, OpsKind.Cpu];

    /// <summary>Test data: each kind.</summary>
    public static Xunit.TheoryData<OpsKind> Data()
    {
        var data = new Xunit.TheoryData<OpsKind>();
        foreach (var kind in All)
        {
            data.Add(kind);
        }

        return data;
    }

    /// <summary>An implementation for at most the given sizes.</summary>
    public static IOps Make(OpsKind kind, OpsShape shape) => ModelLoader.MakeOps(kind, shape, threads: 2);
}
