using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Which kernel attends to key-value blocks of a type, on a processor with some features.</summary>
internal static unsafe class AttentionChoice
{
    /// <summary>The kernel: the native one where the processor and the library have it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is none for the type.</exception>
    public static delegate*<AttentionChunk*, void> For(ElementType cache, NativeCpuFeatures native) => cache switch
    {
        ElementType.BFloat16 when (native & NativeCpuFeatures.Avx512BFloat16) != 0 => &NativePairs,
        ElementType.BFloat16 => &AttentionKernel.Run<CacheLanes.BFloat16>,
        ElementType.Int8 when (native & NativeCpuFeatures.Avx512Vnni) != 0 => &NativeBytes,
        ElementType.Int8 => &AttentionKernel.Run<CacheLanes.Int8>,
        ElementType.Float32 => &AttentionKernel.Run<CacheLanes.Single32>,
        _ => throw new ArgumentOutOfRangeException(nameof(cache), cache, "key-value blocks: float32, bfloat16 or int8 on a CPU"),
    };

    private static void NativePairs(AttentionChunk* chunk) => NativeAttentionMethods.ms_cpu_bf16_attend(chunk);

    private static void NativeBytes(AttentionChunk* chunk) => NativeAttentionMethods.ms_cpu_int8_attend(chunk);
}
