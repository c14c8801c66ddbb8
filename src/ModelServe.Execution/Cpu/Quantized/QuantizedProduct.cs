using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Products of any number of activation rows with quantised weights.</summary>
/// <remarks>
/// Activations are rounded to signed bytes with a scale for each row and group of columns. A row's result is the same bit for bit
/// whatever rows are computed beside it, on however many threads and by whichever kernel. Engine thread.
/// </remarks>
internal sealed unsafe class QuantizedProduct : IDisposable
{
    // Activation rows that are quantised at a time; weights are read again for the next.
    private const int ChunkRows = 512;

    // How far ahead weights are fetched: what a thread reads in some fifty nanoseconds. Twice as far is a fifth slower for small weights.
    private const int AheadBytes = 1024;

    // What a thread takes at a time, at least, in the processor's cycles: bytes from memory at 5 a cycle, products at 48. Handing a
    // product over costs about 1,000; and streams of weights that are cut up more finely are read slower by a tenth to a third.
    private const long UnitCycles = 16_000;
    private const int BytesPerCycle = 5;
    private const int ProductsPerCycle = 48;
    private const int UnitsPerThread = 8;
    private const long QuantizePartElements = 1 << 14;

    // MS_CPU_QUANTIZED_ROWS
    private const int NativeRows = 12;

    private readonly ForkJoinPool _pool;
    private readonly NativeBuffer _scratch;
    private readonly NativeBuffer _shares;
    private readonly int _chunkRows;
    private readonly int _maxPadded;
    private readonly int _maxWidth;
    private readonly delegate*<QuantizedTile*, void> _multiply;

    /// <summary>Takes scratch for that many rows of at most that many columns.</summary>
    /// <remarks>The caller knows that the path runs here: from <see cref="Best"/> or <see cref="Runs"/>.</remarks>
    public QuantizedProduct(ForkJoinPool pool, int maxRows, int maxColumns, QuantizedPath path)
    {
        _pool = pool;
        _chunkRows = Math.Min(ChunkRows, maxRows);
        var shape = new QuantizedShape(QuantizedFormat.Int8, QuantizedShape.PanelRows, maxColumns);
        _maxPadded = shape.PaddedColumns;
        _scratch = new NativeBuffer((long)_chunkRows * (_maxPadded + (shape.Groups * (sizeof(float) + sizeof(int)))));
        _shares = new NativeBuffer(PartShares.BytesFor(pool.Threads));
        _maxWidth = path == QuantizedPath.Native ? NativeRows : QuantizedTileKernel<PortableQuantizedLanes, Vector128<byte>, Vector128<short>, Vector128<int>>.MaxWidth;
        _multiply = path switch
        {
            QuantizedPath.Native => &NativeTile,
            QuantizedPath.Wide => &QuantizedTileKernel<WideQuantizedLanes, Vector512<byte>, Vector512<short>, Vector512<int>>.Run,
            QuantizedPath.Narrow => &QuantizedTileKernel<NarrowQuantizedLanes, Vector256<byte>, Vector256<short>, Vector256<int>>.Run,
            _ => &QuantizedTileKernel<PortableQuantizedLanes, Vector128<byte>, Vector128<short>, Vector128<int>>.Run,
        };
    }

    /// <summary>The fastest path of this machine.</summary>
    /// <param name="native">Features whose native kernels may be called.</param>
    /// <param name="wide">Overrides the choice of 512-bit registers in C#.</param>
    public static QuantizedPath Best(NativeCpuFeatures native, bool? wide = null) =>
        native.HasFlag(NativeCpuFeatures.Avx512Vnni) ? QuantizedPath.Native
        : wide != false && Runs(QuantizedPath.Wide) ? QuantizedPath.Wide
        : Runs(QuantizedPath.Narrow) ? QuantizedPath.Narrow
        : QuantizedPath.Portable;

    /// <summary>Whether this processor can run a path in C#.</summary>
    public static bool Runs(QuantizedPath path) => path switch
    {
        QuantizedPath.Wide => Avx512BW.IsSupported,
        QuantizedPath.Narrow => Avx2.IsSupported && Fma.IsSupported,
        QuantizedPath.Portable => true,
        _ => false,
    };

    /// <summary><c>output[r] = weight · x[r] (+ bias)</c> for the first <paramref name="rows"/> rows.</summary>
    public void Multiply(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        for (var start = 0; start < rows; start += _chunkRows)
        {
            QuantizedWork work = default;
            work.Weight = (byte*)weight.Data;
            work.Shape = weight.Quantized!.Value;
            work.Bias = weight.Bias is null ? null : weight.Bias.Data;
            work.X = x.Data + ((long)start * x.Columns);
            work.XStride = x.Columns;
            work.Quantized = (sbyte*)_scratch.Pointer;
            work.Scales = (float*)(_scratch.Pointer + ((long)_chunkRows * _maxPadded));
            work.Corrections = (int*)(work.Scales + ((long)_chunkRows * (_maxPadded / QuantizedShape.GroupColumns)));
            work.Y = output.Data + ((long)start * output.Columns);
            work.YStride = output.Columns;
            work.Count = Math.Min(_chunkRows, rows - start);
            work.MaxWidth = _maxWidth;
            work.Multiply = _multiply;
            Quantize(&work);
            Multiply(&work);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _shares.Dispose();
        _scratch.Dispose();
    }

    private void Quantize(QuantizedWork* work)
    {
        var elements = (long)work->Count * work->Shape.Columns;
        if (elements < 2 * QuantizePartElements)
        {
            QuantizedActivations.Run(work, 0, 1);
        }
        else
        {
            _pool.Run(&QuantizedActivations.Run, work, (int)Math.Min(elements / QuantizePartElements, 4 * _pool.Threads));
        }
    }

    private void Multiply(QuantizedWork* work)
    {
        var shape = work->Shape;
        var cycles = Math.Max(shape.Bytes / BytesPerCycle, (long)work->Count * shape.Rows * shape.PaddedColumns / ProductsPerCycle);
        var most = (int)Math.Max(1, Math.Min(Math.Min(cycles / UnitCycles, (long)UnitsPerThread * _pool.Threads), shape.Panels));
        work->UnitPanels = (shape.Panels + most - 1) / most;
        var units = (shape.Panels + work->UnitPanels - 1) / work->UnitPanels;
        var shares = Math.Min(_pool.Threads, units);
        work->Shares.Begin(_shares.Pointer, units, shares);
        if (shares == 1)
        {
            MultiplyPart(work, 0, 1);
        }
        else
        {
            _pool.RunShares(&MultiplyPart, work, shares, units);
        }
    }

    private static void MultiplyPart(void* context, int part, int parts)
    {
        var work = (QuantizedWork*)context;
        var panelBytes = work->Shape.PanelBytes;
        QuantizedTile tile = default;
        tile.PanelBytes = panelBytes;
        tile.YStride = work->YStride;
        tile.Blocks = work->Shape.Blocks;
        tile.Bits = work->Shape.Format.Bits();
        while (work->Shares.TryTake(part, out var unit, out _))
        {
            var start = unit * work->UnitPanels;
            tile.Panels = Math.Min(work->UnitPanels, work->Shape.Panels - start);
            tile.Weight = work->Weight + (start * panelBytes);
            tile.Rows = Math.Min(tile.Panels * QuantizedShape.PanelRows, work->Shape.Rows - (start * QuantizedShape.PanelRows));
            tile.Bias = work->Bias is null ? null : work->Bias + (start * QuantizedShape.PanelRows);
            for (var block = 0; block < work->RowBlocks; block++)
            {
                var row = work->FirstRow(block);
                tile.Width = work->FirstRow(block + 1) - row;
                tile.X = work->Quantized + ((long)row * work->Shape.PaddedColumns);
                tile.Scales = work->Scales + ((long)row * work->Shape.Groups);
                tile.Corrections = work->Corrections + ((long)row * work->Shape.Groups);
                tile.Y = work->Y + (row * work->YStride) + (start * QuantizedShape.PanelRows);

                // Only the first pass takes the weights from memory.
                tile.Ahead = block == 0 ? AheadBytes : 0;
                work->Multiply(&tile);
            }
        }
    }

    private static void NativeTile(QuantizedTile* tile) => NativeQuantizedMethods.ms_cpu_quantized_multiply(tile);
}
