using System.Runtime.InteropServices;

namespace ModelServe.Execution.Native;

/// <summary>Asks the system for 2 MiB pages.</summary>
internal static unsafe partial class LargePages
{
    private const int HugePageAdvice = 14;
    private const int PopulateWriteAdvice = 23;
    private const int DontNeedAdvice = 4;

    /// <summary>Wishes for large pages in a range; without effect where the system has none, which only costs speed.</summary>
    public static void Advise(void* start, nuint bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = madvise(start, bytes, HugePageAdvice);
        }
    }

    /// <summary>Gives a range of whole pages their memory now; its contents stay. Without effect where the system does not know how (Linux before 5.14).</summary>
    /// <returns>Whether it did.</returns>
    public static bool Populate(void* start, nuint bytes) => OperatingSystem.IsLinux() && madvise(start, bytes, PopulateWriteAdvice) == 0;

    /// <summary>Gives the memory of a range of whole pages back; what is read there afterwards is zero.</summary>
    /// <returns>Whether it did.</returns>
    public static bool GiveBack(void* start, nuint bytes) => OperatingSystem.IsLinux() && madvise(start, bytes, DontNeedAdvice) == 0;

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int madvise(void* address, nuint length, int advice);
}
