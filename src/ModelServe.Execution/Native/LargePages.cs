using System.Runtime.InteropServices;

namespace ModelServe.Execution.Native;

/// <summary>Asks the system for 2 MiB pages.</summary>
internal static unsafe partial class LargePages
{
    private const int HugePageAdvice = 14;

    /// <summary>Wishes for large pages in a range; without effect where the system has none, which only costs speed.</summary>
    public static void Advise(void* start, nuint bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = madvise(start, bytes, HugePageAdvice);
        }
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int madvise(void* address, nuint length, int advice);
}
