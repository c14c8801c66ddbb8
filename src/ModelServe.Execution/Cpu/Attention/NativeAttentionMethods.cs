using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>The functions of the native CPU library for paged attention, as <c>attention.h</c> declares them.</summary>
/// <remarks><see cref="NativeCpu.Load()"/> must have found the features that a function names.</remarks>
internal static unsafe partial class NativeAttentionMethods
{
    /// <summary>Over a cache of bfloat16; needs <see cref="NativeCpuFeatures.Avx512BFloat16"/>.</summary>
    [LibraryImport("modelserve_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_bf16_attend(AttentionChunk* attention);

    /// <summary>Over a cache of bytes; needs <see cref="NativeCpuFeatures.Avx512Vnni"/>.</summary>
    [LibraryImport("modelserve_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_int8_attend(AttentionChunk* attention);
}
