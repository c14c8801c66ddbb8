using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;

namespace ModelServe.Host.Options;

/// <summary>What the settings mean to the loader and to the scheduler.</summary>
internal static class EngineSettingsMapping
{
    // What tells a slow step from a usual one on a CPU, with some room below twice for what else happens on the machine. From some
    // twenty rows on a CPU is bound by arithmetic, so that larger portions of a prompt are hardly faster.
    private const double CpuPrefillStretch = 1.75;

    // Before steps have been measured: from so many rows on a CPU is bound by arithmetic. A small model's portions may be larger, up to
    // some ten milliseconds of arithmetic: what a thread with bfloat16 units multiplies in that time, divided by what a token takes.
    private const int LeastMixedPrefillTokens = 32;
    private const long WeightsInTenMilliseconds = 1_000_000_000;

    /// <summary>For <see cref="ModelLoader"/>.</summary>
    public static ModelLoadOptions ToLoadOptions(this EngineSettings settings) => new()
    {
        Device = settings.Device,
        Format = settings.DType switch
        {
            "float32" => WeightFormat.Float32,
            "bfloat16" => WeightFormat.BFloat16,
            _ => WeightFormat.Auto,
        },
        Quantization = settings.Quantize is "int8" or "int4" or "fp8"
            ? new WeightQuantization
            {
                Format = settings.Quantize switch
                {
                    "int8" => QuantizedFormat.Int8,
                    "int4" => QuantizedFormat.Int4,
                    _ => QuantizedFormat.Float8,
                },
                Head = settings.QuantizeHead switch
                {
                    "int8" => HeadQuantization.Int8,
                    "int4" => HeadQuantization.Int4,
                    "none" => HeadQuantization.None,
                    _ => HeadQuantization.Auto,
                },
                CacheDirectory = settings.CacheDirectory,
                CacheBytes = settings.CacheBytes ?? WeightQuantization.DefaultCacheBytes,
            }
            : null,
        KeyValueFormat = settings.KvDType switch
        {
            "bf16" => KeyValueFormat.BFloat16,
            "fp8" => KeyValueFormat.Float8,
            "int8" => KeyValueFormat.Int8,
            _ => KeyValueFormat.Auto,
        },
        GpuMemoryUtilization = settings.GpuMemoryUtilization,
        CacheDirectory = settings.CacheDirectory,
        Deterministic = settings.Deterministic,
        KernelLibraryPath = settings.KernelLibrary,
        MaxModelLength = settings.MaxModelLength,
        KvMemoryBytes = settings.KvMemoryBytes,
        MemoryBytes = settings.MemoryBytes is { } given ? given : settings.ModelsSharingMemory == 1 ? null : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / settings.ModelsSharingMemory,
        Threads = settings.CpuThreads,
        PinThreads = settings.PinThreads,
        CpuKernels = settings.CpuKernels switch
        {
            "native" => CpuKernels.Native,
            "managed" => CpuKernels.Managed,
            _ => CpuKernels.Auto,
        },
        WeightPacking = settings.WeightPacking == "off" ? WeightPacking.Off : WeightPacking.Auto,
        MaxSequences = settings.MaxRunning,
        MaxBatchedTokens = Math.Max(settings.MaxBatchedTokens, settings.MaxRunning),
    };

    /// <summary>For <see cref="EngineLoop"/>, with a loaded model.</summary>
    public static EngineOptions ToEngineOptions(this EngineSettings settings, LoadedModel loaded) => new()
    {
        MixedPrefillTokens = settings.MixedPrefillTokens
            ?? (loaded.Ops is OpsKind.Cpu or OpsKind.Torch && settings.PrefillStretch != 0 ? CpuMixedPrefillTokens(loaded.Config.Parameters, settings.CpuThreads ?? Environment.ProcessorCount) : 0),
        PrefillStretch = settings.PrefillStretch
            ?? (loaded.Ops is OpsKind.Cpu or OpsKind.Torch && settings.MixedPrefillTokens is null ? CpuPrefillStretch : 0),
        MaxQueuedRequests = settings.MaxQueued,
        MaxQueuedTokens = settings.MaxQueuedTokens,
    };

    /// <summary>Prompt tokens of a step on a CPU in which others are answered.</summary>
    internal static int CpuMixedPrefillTokens(long parameters, int threads) =>
        (int)Math.Clamp(threads * WeightsInTenMilliseconds / Math.Max(1, parameters), LeastMixedPrefillTokens, 1 << 16);
}
