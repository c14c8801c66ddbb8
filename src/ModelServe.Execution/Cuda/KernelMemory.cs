using System.Globalization;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Cuda;

/// <summary>Device memory from the native library itself: no other allocator, and no cache, stands between.</summary>
/// <remarks>
/// Not TorchSharp's tensors, so that a server with kernels for its models needs no libtorch, an unload gives everything back to the driver,
/// and no finalizer frees what a captured graph names. <see cref="TorchMemory"/> is the other side of the port.
/// </remarks>
internal sealed unsafe class KernelMemory(KernelDevice device) : IDeviceMemory
{
    private readonly List<nint> _blocks = [];

    /// <inheritdoc />
    public byte* Take(long bytes, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        try
        {
            var block = device.Allocate(bytes);
            _blocks.Add((nint)block);
            return (byte*)block;
        }
        catch (KernelException exception) when (exception.Status == KernelStatus.OutOfMemory)
        {
            var info = device.Info();
            throw new MemoryPlanException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"device memory: {purpose} needs {bytes / 1048576.0:N1} MiB; {info.FreeBytes / 1048576.0:N1} of {info.TotalBytes / 1048576.0:N1} MiB are free"),
                exception);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var block in _blocks)
        {
            device.Free((void*)block);
        }

        _blocks.Clear();
    }
}
