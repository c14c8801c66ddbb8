using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Tests.Kernels;

/// <summary>Device memory that a test fills and reads; the stub's device memory is the host's.</summary>
internal sealed unsafe class DeviceArray<T> : IDisposable
    where T : unmanaged
{
    private readonly KernelDevice _device;

    public DeviceArray(KernelDevice device, params T[] values)
    {
        _device = device;
        Length = values.Length;
        Pointer = (T*)device.Allocate((long)values.Length * sizeof(T));
        Write(values);
    }

    public T* Pointer { get; }

    public int Length { get; }

    public void Write(params T[] values) => values.CopyTo(new Span<T>(Pointer, Length));

    public T[] Read() => new Span<T>(Pointer, Length).ToArray();

    public void Dispose() => _device.Free(Pointer);
}
