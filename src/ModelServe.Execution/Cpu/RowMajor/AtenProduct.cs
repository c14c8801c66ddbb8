using System.Runtime.InteropServices;
using ModelServe.Execution.Native;
using TorchSharp;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>libtorch's bfloat16 matrix product over memory that is not its own, with no managed allocation.</summary>
/// <remarks><see cref="NativeTorch.EnsureLoaded"/> must have run. Shapes are the caller's promise.</remarks>
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
            Aten.Check(aoti_torch_cpu_mm_out(result, left, right));
        }
        finally
        {
            Delete(left);
            Delete(right);
            Delete(result);
        }
    }

    private static nint Matrix(void* data, long rows, long columns, long rowStride, long columnStride) =>
        Aten.View(data, torch.ScalarType.BFloat16, TorchPlace.Host, [rows, columns], [rowStride, columnStride]);

    private static void Delete(nint tensor)
    {
        if (tensor != 0)
        {
            Aten.Check(aoti_torch_delete_tensor_object(tensor));
        }
    }

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_cpu_mm_out(nint result, nint left, nint right);

    [LibraryImport("torch_cpu")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int aoti_torch_delete_tensor_object(nint tensor);
}
