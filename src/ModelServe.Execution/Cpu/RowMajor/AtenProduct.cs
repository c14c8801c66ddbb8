using System.Runtime.InteropServices;
using TorchSharp;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>libtorch's bfloat16 matrix product over memory that is not its own, with no managed allocation.</summary>
/// <remarks><see cref="Native.NativeTorch.EnsureLoaded"/> must have run. Shapes are the caller's promise.</remarks>
internal static unsafe partial class AtenProduct
{
    /// <summary><c>y[m, n] = sum over k of x[m, k] * weight[n, k]</c>, all bfloat16 and contiguous; sums in float32, rounded once.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused the call; the reason is on the standard error stream.</exception>
    public static void Multiply(ushort* x, ushort* weight, ushort* y, int count, int rows, int columns)
    {
        nint left = 0, right = 0, result = 0;
        try
        {
            left = Matrix(x, count, columns, columns, 1);

            // The transposed view of a row-major weight is what libtorch's own linear layer multiplies by.
            right = Matrix(weight, columns, rows, 1, columns);
            result = Matrix(y, count, rows, rows, 1);
            Check(aoti_torch_cpu_mm_out(result, left, right));
        }
        finally
        {
            Delete(left);
            Delete(right);
            Delete(result);
        }
    }

    private static nint Matrix(void* data, long rows, long columns, long rowStride, long columnStride)
    {
        var sizes = stackalloc long[] { rows, columns };
        var strides = stackalloc long[] { rowStride, columnStride };
        Check(aoti_torch_create_tensor_from_blob(
            (nint)data, 2, sizes, strides, 0, (int)torch.ScalarType.BFloat16, (int)DeviceType.CPU, 0, out var tensor));
        return tensor;
    }

    private static void Delete(nint tensor)
    {
        if (tensor != 0)
        {
            Check(aoti_torch_delete_tensor_object(tensor));
        }
    }

    private static void Check(int status)
    {
        if (status != 0)
        {
            throw new InvalidOperationException("libtorch refused a matrix product; the reason is on the standard error stream");
        }
    }

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_cpu_mm_out(nint result, nint left, nint right);

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_delete_tensor_object(nint tensor);

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
