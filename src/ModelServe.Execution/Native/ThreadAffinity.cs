using System.Runtime.InteropServices;

namespace ModelServe.Execution.Native;

/// <summary>Keeps threads to single processors, where the system is Linux; elsewhere it does nothing, which only costs speed.</summary>
internal static unsafe partial class ThreadAffinity
{
    private const int MaskWords = 16;

    /// <summary>Keeps the calling thread to the processor with that number, counted among those that it may use now.</summary>
    public static void KeepTo(int number)
    {
        var mask = stackalloc ulong[MaskWords];
        if (!OperatingSystem.IsLinux() || sched_getaffinity(0, MaskWords * sizeof(ulong), mask) != 0)
        {
            return;
        }

        for (var processor = 0; processor < MaskWords * 64; processor++)
        {
            if ((mask[processor / 64] >> (processor % 64) & 1) != 0 && number-- == 0)
            {
                new Span<ulong>(mask, MaskWords).Clear();
                mask[processor / 64] = 1UL << (processor % 64);
                _ = sched_setaffinity(0, MaskWords * sizeof(ulong), mask);
                return;
            }
        }
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int sched_getaffinity(int thread, nuint bytes, ulong* mask);

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int sched_setaffinity(int thread, nuint bytes, ulong* mask);
}
