using ModelServe.Execution.Memory;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Loading;

/// <summary>How a model is loaded; every null or automatic value is resolved from the checkpoint and the machine.</summary>
public sealed record ModelLoadOptions
{
    /// <summary>Where it runs: auto, cpu, cuda or cuda:N.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>How weights and key-value blocks are stored.</summary>
    public WeightFormat Format { get; init; } = WeightFormat.Auto;

    /// <summary>How weights are quantised while they load; null keeps them as <see cref="Format"/> says.</summary>
    public WeightQuantization? Quantization { get; init; }

    /// <summary>How key-value blocks are stored; the type of the weights unless told otherwise.</summary>
    public KeyValueFormat KeyValueFormat { get; init; } = KeyValueFormat.Auto;

    /// <summary>Share of a GPU's memory that this process may hold, in (0, 1].</summary>
    public double GpuMemoryUtilization { get; init; } = 0.9;

    /// <summary>Path of the GPU kernels' library; null takes libmodelserve.so beside the program.</summary>
    public string? KernelLibraryPath { get; init; }

    /// <summary>Steps that a GPU may have in flight: 2 plans each step before the tokens of the one before are known.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>Whether a GPU's decode steps are captured as graphs.</summary>
    public bool UseGraphs { get; init; } = true;

    /// <summary>Whether a sequence's arithmetic on a GPU must not depend on its batch.</summary>
    public bool Deterministic { get; init; }

    /// <summary>Whether the kernels of a GPU's products are chosen by measuring them while the model loads; null measures on a real one.</summary>
    public bool? TuneProducts { get; init; }

    /// <summary>
    /// Where what was measured is kept for the next start; null takes <c>modelserve</c> in the user's cache folder, and
    /// <see cref="WeightQuantization.NoCache"/> keeps nothing.
    /// </summary>
    public string? CacheDirectory { get; init; }

    /// <summary>Longest sequence in tokens; null takes the model's own, shortened if the memory needs it.</summary>
    public int? MaxModelLength { get; init; }

    /// <summary>Bytes for key-value blocks; null takes a share of what is free.</summary>
    public long? KvMemoryBytes { get; init; }

    /// <summary>Sequences that may run at once.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>Tokens that one step may feed; at least <see cref="MaxSequences"/>.</summary>
    public int MaxBatchedTokens { get; init; } = 512;

    /// <summary>Which implementation of the operations runs.</summary>
    public OpsKind Ops { get; init; } = OpsKind.Auto;

    /// <summary>Which kernels multiply on a CPU.</summary>
    public CpuKernels CpuKernels { get; init; } = CpuKernels.Auto;

    /// <summary>How those of the native library keep bfloat16 weights.</summary>
    public WeightPacking WeightPacking { get; init; } = WeightPacking.Auto;

    /// <summary>Threads that compute; null takes one a processor, and of a container's quota the whole ones.</summary>
    public int? Threads { get; init; }

    /// <summary>Whether each computing thread keeps to one processor.</summary>
    public bool PinThreads { get; init; }

    /// <summary>Bytes that the process may use; null takes what the system or its container allows, on a GPU what <see cref="GpuMemoryUtilization"/> says.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>What other models of this process hold of the same GPU: this one is planned into what they leave.</summary>
    public IReadOnlyList<HeldMemory> HeldByOthers { get; init; } = [];

    /// <summary>Told what an operator should know while the model serves, a sentence each; null for nobody.</summary>
    /// <remarks>Called on the engine's thread, which does not wait: it must return at once.</remarks>
    public Action<string>? Report { get; init; }
}
