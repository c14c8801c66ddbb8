using System.Runtime.InteropServices;

namespace ModelServe.Benchmarks;

/// <summary>Time that the calling thread has spent on a processor: what a kernel costs on a machine that others use too.</summary>
internal static unsafe partial class ThreadClock
{
    private const int ThreadCpuTime = 3;

    /// <summary>Seconds of processor time of this thread.</summary>
    public static double Seconds()
    {
        var time = stackalloc long[2];
        return clock_gettime(ThreadCpuTime, time) == 0
            ? time[0] + (time[1] * 1e-9)
            : throw new InvalidOperationException("clock_gettime refused the thread's clock");
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int clock_gettime(int clock, long* time);
}
