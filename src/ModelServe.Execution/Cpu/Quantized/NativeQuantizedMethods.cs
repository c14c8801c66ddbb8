using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>The functions of the native CPU library for quantised weights, as <c>quantized.h</c> declares them.</summary>
/// <remarks><see cref="NativeCpu.Load()"/> must have found <see cref="NativeCpuFeatures.Avx512Vnni"/>.</remarks>
internal static unsafe partial class NativeQuantizedMethods
{
    [LibraryImport("modelserve_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial void ms_cpu_quantized_multiply(QuantizedTile* tile);
}
