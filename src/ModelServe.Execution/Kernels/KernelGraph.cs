namespace ModelServe.Execution.Kernels;

/// <summary>A captured run of ops and copies that launches as one.</summary>
/// <remarks>Every buffer its ops name must outlive it. Thread: one at a time.</remarks>
internal sealed class KernelGraph(KernelDevice device, nint handle) : IDisposable
{
    private nint _handle = handle;

    /// <summary>Submits the whole graph to a stream.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void Launch(KernelStream stream) =>
        KernelException.ThrowIfFailed(NativeMethods.ms_graph_launch(device.Handle, _handle, stream.Handle));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
        {
            _ = NativeMethods.ms_graph_free(device.Handle, _handle);
            _handle = 0;
        }
    }
}
