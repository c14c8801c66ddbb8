using System.Globalization;
using System.Runtime.InteropServices;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Native;
using static TorchSharp.torch;

namespace ModelServe.Execution.Memory;

/// <summary>Memory that libtorch owns, on the host or on a GPU, and copies between it and the host.</summary>
/// <remarks>Each block is a tensor of bytes, held until this is disposed. Thread: one at a time.</remarks>
internal sealed unsafe class TorchMemory(TorchPlace place) : IDeviceMemory
{
    private readonly List<Tensor> _blocks = [];

    /// <summary>Where it lies.</summary>
    public TorchPlace Place { get; } = place;

    /// <inheritdoc />
    public byte* Take(long bytes, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        try
        {
            // libtorch's own alignment is 64 bytes on the host, and 512 on a GPU.
            var block = zeros(bytes + Alignment, ScalarType.Byte, Place.Device());
            _blocks.Add(block);
            return (byte*)((Aten.Data(block) + Alignment - 1) / Alignment * Alignment);
        }
        catch (ExternalException exception)
        {
            throw new MemoryPlanException(
                string.Create(CultureInfo.InvariantCulture, $"memory on {Place}: {purpose} needs {bytes / 1048576.0:N1} MiB: {exception.Message}"), exception);
        }
    }

    /// <summary>Copies from the host; done when it returns.</summary>
    public void CopyIn(byte* to, byte* from, long bytes)
    {
        using var target = Aten.Bytes(to, bytes, Place);
        using var source = Aten.Bytes(from, bytes, TorchPlace.Host);
        target.copy_(source);
    }

    /// <summary>Copies to the host; done when it returns.</summary>
    public void CopyOut(byte* to, byte* from, long bytes)
    {
        using var target = Aten.Bytes(to, bytes, TorchPlace.Host);
        using var source = Aten.Bytes(from, bytes, Place);
        target.copy_(source);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var block in _blocks)
        {
            block.Dispose();
        }

        _blocks.Clear();
    }

    private const int Alignment = 256;
}
