using System.Globalization;
using System.Runtime.InteropServices;

namespace ModelServe.Execution.Native;

/// <summary>How long the threads of this process ask to run at a time while others want their processor.</summary>
/// <remarks>
/// <para>
/// Where a model computes on the processors, every one of them is taken while answers are to be written. Linux divides a processor's time by
/// weight, whatever turns threads ask for, but lets nobody in before the one that runs has had the turn it asked for, or, where the
/// kernel looks only at its ticks, milliseconds later (EEVDF: Stoica and Abdel-Wahab, 1995; kernel documentation, scheduler/sched-eevdf). With
/// short turns the threads that write, which take tens of microseconds, run when they wake, and the ones that compute go on after them.
/// </para>
/// <para>
/// Linux takes the wish from 6.12 on (<c>sched_attr::sched_runtime</c> of threads of ordinary policy) and needs no privilege for it; before, elsewhere, and where a
/// sandbox forbids the call, nothing changes. Measured in <c>benchmarks/results</c>.
/// </para>
/// </remarks>
public static unsafe partial class ThreadTurns
{
    /// <summary>What a process asks for that answers while it computes.</summary>
    public static readonly TimeSpan ForAnswers = TimeSpan.FromMilliseconds(0.2);

    private const string Tasks = "/proc/self/task";
    private const uint Ordinary = 0;
    private const uint Batch = 3;
    private const double NanosecondsPerMillisecond = 1e6;

    private static readonly (nint Set, nint Get)? Calls = !OperatingSystem.IsLinux() ? null : RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => (314, 315),
        Architecture.Arm64 => (274, 275),
        _ => null,
    };

    /// <summary>Asks for turns of that length for every thread that there is; those that they start later ask for the same.</summary>
    /// <remarks>Policies and priorities stay. A thread that ends meanwhile is passed over. Any thread; best before the process has many.</remarks>
    /// <param name="length">From 0.1 to 100 ms, the system takes the nearest; zero for its own choice.</param>
    /// <returns>How long the calling thread's turns are now; null where the system does not say.</returns>
    public static TimeSpan? AskForAll(TimeSpan length)
    {
        if (!Directory.Exists(Tasks))
        {
            // No proc is mounted: the caller alone asks, and what it starts.
            Ask(length);
            return OfCaller();
        }

        foreach (var task in Directory.EnumerateDirectories(Tasks))
        {
            if (int.TryParse(Path.GetFileName(task), CultureInfo.InvariantCulture, out var thread))
            {
                Ask(length, thread);
            }
        }

        return OfCaller();
    }

    /// <summary>Asks for one thread.</summary>
    /// <param name="length">As above.</param>
    /// <param name="thread">The system's number of the thread; 0 is the calling one.</param>
    internal static void Ask(TimeSpan length, int thread = 0)
    {
        if (Read(thread) is { Policy: Ordinary or Batch } attributes)
        {
            attributes.Runtime = (ulong)(length.TotalMilliseconds * NanosecondsPerMillisecond);
            // Whether it was heard is seen where it is read again: older systems take the call and ignore the length.
            _ = syscall(Calls!.Value.Set, thread, &attributes, 0, 0);
        }
    }

    /// <summary>How long the calling thread's turns are; null where the system does not say.</summary>
    internal static TimeSpan? OfCaller() =>
        Read(0) is { Runtime: > 0 and var nanoseconds } ? TimeSpan.FromMilliseconds(nanoseconds / NanosecondsPerMillisecond) : null;

    private static Attributes? Read(int thread)
    {
        var attributes = default(Attributes);
        return Calls is var (_, get) && syscall(get, thread, &attributes, sizeof(Attributes), 0) == 0 ? attributes : null;
    }

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint syscall(nint number, nint thread, Attributes* attributes, nint third, nint fourth);

    // struct sched_attr as first published, 48 bytes; sched_getattr fills in the size.
    [StructLayout(LayoutKind.Sequential)]
    private struct Attributes
    {
        public uint Size;
        public uint Policy;
        public ulong Flags;
        public int Nice;
        public uint Priority;
        public ulong Runtime;
        public ulong Deadline;
        public ulong Period;
    }
}
