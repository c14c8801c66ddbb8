namespace ModelServe.Host.Options;

/// <summary>How every model of this process is loaded and scheduled. Unset values are derived from the model and the machine.</summary>
internal sealed record EngineSettings
{
    /// <summary>The words that <see cref="DType"/> may be.</summary>
    public static IReadOnlyList<string> DTypes { get; } = ["auto", "float32", "bfloat16"];

    /// <summary>auto, cpu, cuda, cuda:N, or several GPUs such as cuda:0,cuda:1, each of which gets every model.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>The devices of <see cref="Device"/>, one at least.</summary>
    public IReadOnlyList<string> Devices => Device.Split(',');

    /// <summary>Whether the devices are GPUs.</summary>
    public bool IsGpu => Device.StartsWith("cuda", StringComparison.Ordinal);

    /// <summary>auto (the checkpoint's own), float32 or bfloat16.</summary>
    public string DType { get; init; } = "auto";

    /// <summary>auto (as the weights), bf16 or fp8: how keys and values are stored.</summary>
    public string KvDType { get; init; } = "auto";

    /// <summary>Share of a GPU's memory that this process may hold.</summary>
    public double GpuMemoryUtilization { get; init; } = 0.9;

    /// <summary>Whether an answer on a GPU must not depend on what else is in its batch.</summary>
    public bool Deterministic { get; init; }

    /// <summary>Path of the GPU kernels' library; null takes the one beside the program.</summary>
    public string? KernelLibrary { get; init; }

    /// <summary>none, int8 or int4: how weights are quantised while they load.</summary>
    public string Quantize { get; init; } = "none";

    /// <summary>auto, int8, int4 or none: how embeddings and output head are quantised then.</summary>
    public string QuantizeHead { get; init; } = "auto";

    /// <summary>Where quantised weights are kept for the next start; null takes the user's cache folder, none keeps nothing.</summary>
    public string? CacheDirectory { get; init; }

    /// <summary>Bytes that all quantised weights in that folder may take; null takes the default.</summary>
    public long? CacheBytes { get; init; }

    /// <summary>Longest sequence in tokens; null takes the checkpoint's own limit.</summary>
    public int? MaxModelLength { get; init; }

    /// <summary>Memory for keys and values, in bytes; null derives it.</summary>
    public long? KvMemoryBytes { get; init; }

    /// <summary>Memory that one model may take; null derives it from the machine and <see cref="ModelsSharingMemory"/>.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>How many models share this machine's memory; each is planned into an equal part. GPUs are divided by need instead.</summary>
    public int ModelsSharingMemory { get; init; } = 1;

    /// <summary>Sequences that run at once.</summary>
    public int MaxRunning { get; init; } = 64;

    /// <summary>Tokens that one step feeds at most.</summary>
    public int MaxBatchedTokens { get; init; } = 512;

    /// <summary>Prompt tokens that one step feeds beside answers at most; 0 has no such limit, null takes what suits the device.</summary>
    public int? MixedPrefillTokens { get; init; }

    /// <summary>How many times as long a step may take with prompt tokens beside answers as without; 0 has no such limit, null takes what suits the device.</summary>
    public double? PrefillStretch { get; init; }

    /// <summary>Threads that compute on a CPU; null takes one a processor that this process may use.</summary>
    public int? CpuThreads { get; init; }

    /// <summary>auto, native or managed: which kernels multiply on a CPU.</summary>
    public string CpuKernels { get; init; } = "auto";

    /// <summary>auto or off: whether the native kernels keep bfloat16 weights in 12 bits where that loses nothing.</summary>
    public string WeightPacking { get; init; } = "auto";

    /// <summary>Whether each computing thread keeps to one processor.</summary>
    public bool PinThreads { get; init; }

    /// <summary>How long a model answers made-up requests before it takes real ones; zero for not at all.</summary>
    public TimeSpan WarmUp { get; init; }

    /// <summary>How long one step may take before its model counts as failed; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether a checkpoint's files must have the checksums that its list tells.</summary>
    public bool VerifyChecksums { get; init; }

    /// <summary>Requests that wait at most.</summary>
    public int MaxQueued { get; init; } = 1024;

    /// <summary>Prompt tokens that wait at most.</summary>
    public long MaxQueuedTokens { get; init; } = 1 << 20;
}
