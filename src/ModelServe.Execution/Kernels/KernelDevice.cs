namespace ModelServe.Execution.Kernels;

/// <summary>One device of the native library: its kernels, and memory that belongs to whoever asked for it.</summary>
/// <remarks>Thread: one at a time. Streams, events and graphs of the device are disposed before it.</remarks>
internal sealed unsafe class KernelDevice : IDisposable
{
    /// <summary>Opens a device; <see cref="KernelLibrary.Load"/> must have run.</summary>
    /// <param name="ordinal">Number of the device, from 0.</param>
    /// <param name="cublasLtPath">Path of cuBLASLt, or null to try the usual names.</param>
    /// <exception cref="KernelException">There is no such device, or no driver.</exception>
    public KernelDevice(int ordinal, string? cublasLtPath = null)
    {
        KernelException.ThrowIfFailed(NativeMethods.ms_ctx_new(ordinal, cublasLtPath, out var handle));
        Handle = handle;
    }

    /// <summary>The library's handle; 0 after disposal.</summary>
    public nint Handle { get; private set; }

    /// <summary>What the device is, and its free memory at this moment.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public DeviceInfo Info()
    {
        var info = DeviceInfo.Create();
        KernelException.ThrowIfFailed(NativeMethods.ms_ctx_info(Handle, &info));
        return info;
    }

    /// <summary>Device memory, 256-byte aligned; freed by <see cref="Free"/>.</summary>
    /// <exception cref="KernelException">The memory is exhausted.</exception>
    public void* Allocate(long bytes)
    {
        void* pointer;
        KernelException.ThrowIfFailed(NativeMethods.ms_malloc(Handle, (nuint)bytes, &pointer));
        return pointer;
    }

    /// <summary>Gives device memory back; nothing in flight may still use it. A lost device has it back already.</summary>
    /// <exception cref="KernelException">The pointer is not one of <see cref="Allocate"/>.</exception>
    public void Free(void* pointer) => ThrowUnlessLost(NativeMethods.ms_free(Handle, pointer));

    /// <summary>Pinned host memory for transfers; freed by <see cref="FreePinned"/>.</summary>
    /// <exception cref="KernelException">The memory is exhausted.</exception>
    public void* AllocatePinned(long bytes)
    {
        void* pointer;
        KernelException.ThrowIfFailed(NativeMethods.ms_host_alloc(Handle, (nuint)bytes, &pointer));
        return pointer;
    }

    /// <summary>Gives pinned memory back; no transfer may still use it. A lost device has let go of it.</summary>
    /// <exception cref="KernelException">The pointer is not one of <see cref="AllocatePinned"/>.</exception>
    public void FreePinned(void* pointer) => ThrowUnlessLost(NativeMethods.ms_host_free(Handle, pointer));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle != 0)
        {
            _ = NativeMethods.ms_ctx_free(Handle);
            Handle = 0;
        }
    }

    // After an error that sticks every call fails, also those that tidy up: the model that ran there must still be disposed of.
    private void ThrowUnlessLost(int status)
    {
        if (status == 0)
        {
            return;
        }

        var failure = KernelException.Last(status);
        var info = DeviceInfo.Create();
        if (failure.Status != KernelStatus.DriverFailed || NativeMethods.ms_ctx_info(Handle, &info) != (int)KernelStatus.DriverFailed)
        {
            throw failure;
        }
    }
}
