namespace ModelServe.Execution.Kernels;

/// <summary>An order of work on a device: ops, copies, and the capture of both into a graph.</summary>
/// <remarks>Thread: one at a time.</remarks>
internal sealed unsafe class KernelStream : IDisposable
{
    private readonly KernelDevice _device;

    /// <summary>Makes a stream that the default stream never orders.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public KernelStream(KernelDevice device, bool highPriority = false)
    {
        _device = device;
        KernelException.ThrowIfFailed(NativeMethods.ms_stream_new(device.Handle, highPriority ? 1 : 0, out var handle));
        Handle = handle;
    }

    /// <summary>The library's handle; 0 after disposal.</summary>
    public nint Handle { get; private set; }

    /// <summary>Copies to the device. The host memory is pinned and stays unchanged until the stream has passed the copy.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void CopyToDevice(void* to, void* from, long bytes) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_h2d(_device.Handle, to, from, (nuint)bytes, Handle));

    /// <summary>Copies to pinned host memory, which is valid after the stream has passed the copy.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void CopyToHost(void* to, void* from, long bytes) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_d2h(_device.Handle, to, from, (nuint)bytes, Handle));

    /// <summary>Copies within the device.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void Copy(void* to, void* from, long bytes) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_d2d(_device.Handle, to, from, (nuint)bytes, Handle));

    /// <summary>Sets every byte.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void Fill(void* pointer, byte value, long bytes) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_memset(_device.Handle, pointer, value, (nuint)bytes, Handle));

    /// <summary>Waits until everything submitted has run.</summary>
    /// <exception cref="KernelException">Something submitted failed.</exception>
    public void Synchronize() => KernelException.ThrowIfFailed(NativeMethods.ms_stream_sync(_device.Handle, Handle));

    /// <summary>Records what <paramref name="body"/> submits to this stream, without running it.</summary>
    /// <remarks>The body must have run once before, so that every kernel is loaded.</remarks>
    /// <exception cref="KernelException">The capture failed; the stream is usable again.</exception>
    public KernelGraph Capture(Action body)
    {
        KernelException.ThrowIfFailed(NativeMethods.ms_capture_begin(_device.Handle, Handle));
        var completed = false;
        try
        {
            body();
            completed = true;
        }
        finally
        {
            if (!completed && NativeMethods.ms_capture_end(_device.Handle, Handle, out var abandoned) == 0)
            {
                _ = NativeMethods.ms_graph_free(_device.Handle, abandoned);
            }
        }

        KernelException.ThrowIfFailed(NativeMethods.ms_capture_end(_device.Handle, Handle, out var graph));
        return new KernelGraph(_device, graph);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle != 0)
        {
            _ = NativeMethods.ms_stream_free(_device.Handle, Handle);
            Handle = 0;
        }
    }
}
