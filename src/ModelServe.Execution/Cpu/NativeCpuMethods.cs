using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu;

/// <summary>What the native CPU library says of itself and of the processor, as <c>modelserve_cpu.h</c> declares it.</summary>
/// <remarks><see cref="NativeCpu.Load()"/> must have found the features that a function names.</remarks>
internal static partial class NativeCpuMethods
{
    private const string Library = "modelserve_cpu";

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int ms_cpu_abi_version();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial uint ms_cpu_features();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial long ms_cpu_bf16_peak(long iterations);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial long ms_cpu_vnni_peak(long iterations);
}
