using System.Runtime.InteropServices;
using ModelServe.Execution.Operations;
using TorchSharp;

namespace ModelServe.Execution.Native;

/// <summary>What libtorch's stable C interface offers and TorchSharp does not. A TorchSharp handle is an ATen handle.</summary>
/// <remarks>
/// <see cref="NativeTorch.EnsureLoaded"/> must have run. The interface trusts its caller: a wrong shape reads foreign memory.
/// When it refuses a call, the reason goes to the standard error stream only.
/// </remarks>
internal static unsafe partial class Aten
{
    /// <summary>A contiguous CPU tensor over memory that it does not own and that must outlive it.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call.</exception>
    public static torch.Tensor FromMemory(void* data, ElementType type, params ReadOnlySpan<long> sizes) =>
        FromMemory(data, type, TorchPlace.Host, sizes);

    /// <summary>A contiguous tensor over memory of a place, which it does not own and which must outlive it.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call.</exception>
    public static torch.Tensor FromMemory(void* data, ElementType type, TorchPlace place, params ReadOnlySpan<long> sizes) =>
        FromMemory(
            data,
            type switch
            {
                ElementType.Float32 => torch.ScalarType.Float32,
                ElementType.BFloat16 => torch.ScalarType.BFloat16,
                ElementType.Int8 => torch.ScalarType.Int8,
                _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no tensor has this type"),
            },
            place,
            sizes);

    /// <summary>So many bytes of a place.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call.</exception>
    public static torch.Tensor Bytes(byte* data, long count, TorchPlace place) => FromMemory(data, torch.ScalarType.Byte, place, count);

    /// <summary>The address of a tensor's first element, on its own device.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call.</exception>
    public static nint Data(torch.Tensor tensor)
    {
        Check(aoti_torch_get_data_ptr(tensor.Handle, out var data));
        return data;
    }

    private static torch.Tensor FromMemory(void* data, torch.ScalarType type, TorchPlace place, params ReadOnlySpan<long> sizes)
    {
        var strides = stackalloc long[sizes.Length];
        var stride = 1L;
        for (var i = sizes.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= sizes[i];
        }

        return torch.Tensor.UnsafeCreateTensor(View(data, type, place, sizes, new ReadOnlySpan<long>(strides, sizes.Length)));
    }

    /// <summary>The handle of a tensor over memory of a place, for whoever deletes it himself; allocates nothing managed.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call.</exception>
    internal static nint View(void* data, torch.ScalarType type, TorchPlace place, ReadOnlySpan<long> sizes, ReadOnlySpan<long> strides)
    {
        fixed (long* size = sizes, stride = strides)
        {
            Check(aoti_torch_create_tensor_from_blob(
                (nint)data, sizes.Length, size, stride, 0, (int)type, (int)place.Type, place.Index, out var handle));
            return handle;
        }
    }

    /// <summary>Throws where a call of the interface was refused.</summary>
    /// <exception cref="InvalidOperationException">It was.</exception>
    internal static void Check(int status)
    {
        if (status != 0)
        {
            throw new InvalidOperationException("libtorch refused a call; the reason is on the standard error stream");
        }
    }

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_get_data_ptr(nint tensor, out nint data);

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_create_tensor_from_blob(
        nint data,
        long dimensions,
        long* sizes,
        long* strides,
        long storageOffset,
        int type,
        int deviceType,
        int deviceIndex,
        out nint result);
}
