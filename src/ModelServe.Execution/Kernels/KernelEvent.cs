namespace ModelServe.Execution.Kernels;

/// <summary>A point in a stream's order that another stream or the host can wait for.</summary>
/// <remarks>Thread: one at a time.</remarks>
internal sealed class KernelEvent : IDisposable
{
    private readonly KernelDevice _device;
    private nint _handle;

    /// <summary>Makes an event; <paramref name="timing"/> keeps the time at which it passes.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public KernelEvent(KernelDevice device, bool timing = false)
    {
        _device = device;
        KernelException.ThrowIfFailed(NativeMethods.ms_event_new(device.Handle, timing ? 1 : 0, out _handle));
    }

    /// <summary>Whether the recorded point has passed.</summary>
    /// <exception cref="KernelException">Something before it failed.</exception>
    public bool HasPassed
    {
        get
        {
            KernelException.ThrowIfFailed(NativeMethods.ms_event_query(_device.Handle, _handle, out var done));
            return done != 0;
        }
    }

    /// <summary>Marks the present end of the stream.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void Record(KernelStream stream) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_event_record(_device.Handle, _handle, stream.Handle));

    /// <summary>Makes later work of the stream wait for this point; the host does not wait.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void HoldBack(KernelStream stream) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_stream_wait(_device.Handle, stream.Handle, _handle));

    /// <summary>Blocks the calling thread until the point has passed.</summary>
    /// <exception cref="KernelException">Something before it failed.</exception>
    public void Synchronize() => KernelException.ThrowIfFailed(NativeMethods.ms_event_sync(_device.Handle, _handle));

    /// <summary>Milliseconds from this point to a later one; both were made with timing and have passed.</summary>
    /// <exception cref="KernelException">One of them has not.</exception>
    public float MillisecondsTo(KernelEvent later)
    {
        KernelException.ThrowIfFailed(NativeMethods.ms_event_elapsed(_device.Handle, _handle, later._handle, out var time));
        return time;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _ = NativeMethods.ms_event_free(_device.Handle, _handle);
            _handle = 0;
        }
    }
}
