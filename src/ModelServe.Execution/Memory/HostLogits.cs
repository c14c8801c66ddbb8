using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>The logits of a step in the host's memory, where tokens are chosen when the model itself lies elsewhere.</summary>
/// <remarks>Thread: the engine's.</remarks>
internal sealed unsafe class HostLogits : IDisposable
{
    private readonly TorchMemory _memory;
    private readonly NativeBuffer _buffer;
    private readonly Activation _host;

    /// <summary>A place for as many rows as the logits on the device have.</summary>
    public HostLogits(TorchMemory memory, Activation device)
    {
        _memory = memory;
        _buffer = new NativeBuffer((long)device.Rows * device.Columns * sizeof(float));
        _host = new Activation((float*)_buffer.Pointer, device.Rows, device.Columns);
    }

    /// <summary>Brings the first rows of the logits; waits for what computes them.</summary>
    public Activation Bring(Activation device, int rows)
    {
        if (rows > 0)
        {
            _memory.CopyOut((byte*)_host.Data, (byte*)device.Data, (long)rows * device.Columns * sizeof(float));
        }

        return _host;
    }

    /// <inheritdoc />
    public void Dispose() => _buffer.Dispose();
}
