using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>Products of many activation rows with large bfloat16 weights, by libtorch, which multiplies bfloat16 in the processor's own units.</summary>
/// <remarks>
/// Activations are rounded to bfloat16 and so are results, as in the frameworks these checkpoints come from. Weights stay where they
/// are, row-major: repacked ones are up to half again as fast, but would have to lie in memory twice. Engine thread.
/// </remarks>
internal sealed unsafe class TorchProduct : IDisposable
{
    // Results leave in panels of this many columns, so that their scratch stays small.
    private const int PanelColumns = 4096;

    private readonly ForkJoinPool _pool;
    private readonly NativeBuffer _rounded;
    private readonly NativeBuffer _results;

    /// <summary>Loads libtorch and takes scratch for that many rows of at most that many columns.</summary>
    /// <exception cref="NativeTorchException">libtorch does not load.</exception>
    public TorchProduct(ForkJoinPool pool, int maxRows, int maxColumns)
    {
        NativeTorch.EnsureLoaded();
        TorchSharp.torch.set_num_threads(pool.Threads);
        _pool = pool;
        _rounded = new NativeBuffer((long)maxRows * maxColumns * sizeof(ushort));
        _results = new NativeBuffer((long)maxRows * PanelColumns * sizeof(ushort));
    }

    /// <summary><c>output[r] = weight · x[r] (+ bias)</c> for the first <paramref name="rows"/> rows.</summary>
    public void Multiply(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        RoundingWork rounding = default;
        rounding.Single = x.Data;
        rounding.SingleStride = x.Columns;
        rounding.Rounded = (ushort*)_rounded.Pointer;
        rounding.Rows = rows;
        rounding.Columns = weight.Columns;
        _pool.Run(&RoundingWork.Round, &rounding);
        for (var start = 0; start < weight.Rows; start += PanelColumns)
        {
            var columns = Math.Min(PanelColumns, weight.Rows - start);
            var panel = (ushort*)weight.Data + ((long)start * weight.Columns);
            AtenProduct.Multiply((ushort*)_rounded.Pointer, panel, (ushort*)_results.Pointer, rows, columns, weight.Columns);
            rounding.Single = output.Data + start;
            rounding.SingleStride = output.Columns;
            rounding.Rounded = (ushort*)_results.Pointer;
            rounding.Bias = weight.Bias is { } bias ? bias.Data + start : null;
            rounding.Columns = columns;
            _pool.Run(&RoundingWork.Widen, &rounding);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _rounded.Dispose();
        _results.Dispose();
    }
}
