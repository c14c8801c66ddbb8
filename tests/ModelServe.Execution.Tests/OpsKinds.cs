using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Tests;

/// <summary>What a parity test runs on.</summary>
public enum TestedOps
{
    /// <summary>Plain TorchSharp.</summary>
    Torch,

    /// <summary>Vector code with the native kernels that this machine has; the same as <see cref="Managed"/> where it has none.</summary>
    Cpu,

    /// <summary>Vector code in C# alone.</summary>
    Managed,
}

/// <summary>The implementations that every parity test runs on.</summary>
internal static class OpsKinds
{
    /// <summary>Every one.</summary>
    public static IReadOnlyList<TestedOps> All { get; } = Enum.GetValues<TestedOps>();

    /// <summary>How these implementations store numbers; other types are for devices.</summary>
    public static IReadOnlyList<ElementType> StoredTypes { get; } = [ElementType.Float32, ElementType.BFloat16];

    /// <summary>How these implementations store keys and values.</summary>
    public static IReadOnlyList<ElementType> CacheTypes { get; } = [ElementType.Float32, ElementType.BFloat16, ElementType.Int8];

    /// <summary>Test data: each kind.</summary>
    public static Xunit.TheoryData<TestedOps> Data()
    {
        var data = new Xunit.TheoryData<TestedOps>();
        foreach (var kind in All)
        {
            data.Add(kind);
        }

        return data;
    }

    /// <summary>An implementation for at most the given sizes.</summary>
    public static IOps Make(TestedOps tested, OpsShape shape) =>
        ModelLoader.MakeOps(Kind(tested), shape, threads: 2, Kernels(tested));

    /// <summary>The kind that an operator would ask for.</summary>
    public static OpsKind Kind(TestedOps tested) => tested == TestedOps.Torch ? OpsKind.Torch : OpsKind.Cpu;

    /// <summary>The kernels that an operator would ask for.</summary>
    public static CpuKernels Kernels(TestedOps tested) => tested == TestedOps.Managed ? CpuKernels.Managed : CpuKernels.Auto;
}
