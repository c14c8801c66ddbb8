using System.Runtime.InteropServices;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Faults that the stub of the native library can be told to have, as a GPU has them, and what it counts.</summary>
internal static partial class StubFaults
{
    private const int EventSync = 1;
    private const int Malloc = 2;
    private const int Graph = 4;
    private const int Launch = 5;

    /// <summary>The nth next wait for an event fails, and every one after it.</summary>
    public static void LoseDevice(KernelDevice device, int waits) => Inject(device, EventSync, waits, KernelStatus.DriverFailed);

    /// <summary>The nth next allocation finds no memory, and every one after it.</summary>
    public static void Exhaust(KernelDevice device, int allocations) => Inject(device, Malloc, allocations, KernelStatus.OutOfMemory);

    /// <summary>No graph finds memory to be made or launched any more.</summary>
    public static void ExhaustGraphs(KernelDevice device) => Inject(device, Graph, 1, KernelStatus.OutOfMemory);

    /// <summary>The nth next operation finds no memory to be launched, and every one after it; those of graphs do not count.</summary>
    public static void ExhaustLaunches(KernelDevice device, int launches) => Inject(device, Launch, launches, KernelStatus.OutOfMemory);

    /// <summary>No fault any more.</summary>
    public static void Heal(KernelDevice device) => Inject(device, 0, 0, KernelStatus.Ok);

    /// <summary>Operations that ran on the device so far, from graphs too; copies do not count.</summary>
    public static long Launches(KernelDevice device) => ms_stub_launches(device.Handle);

    /// <summary>Products that were tuned on the device so far.</summary>
    public static int Tunings(KernelDevice device) => ms_stub_tunings(device.Handle);

    private static void Inject(KernelDevice device, int point, int after, KernelStatus status) =>
        KernelException.ThrowIfFailed(ms_stub_inject(device.Handle, point, after, (int)status));

    [LibraryImport("modelserve")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ms_stub_inject(nint context, int point, int after, int status);

    [LibraryImport("modelserve")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial long ms_stub_launches(nint context);

    [LibraryImport("modelserve")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ms_stub_tunings(nint context);
}
