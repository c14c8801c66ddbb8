using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu;

/// <summary>Products of any number of activation rows with bfloat16 weights in panels, in the processor's own bfloat16 units.</summary>
/// <remarks>
/// Activations are rounded to bfloat16, as the frameworks these checkpoints come from do; sums and results are float32. A row's
/// result is the same bit for bit whatever rows are computed beside it and on however many threads: from one row to a whole
/// prompt, each result has one sum that meets its columns in order. Engine thread.
/// </remarks>
internal sealed unsafe class PanelProduct : IDisposable
{
    /// <summary>Rows of a panel.</summary>
    public const int PanelRows = 16;

    // Panels of a part: as many as the kernels take at a time.
    private const int PartPanels = 4;

    // Multiplications below which a part is not worth its handing over, and below which none is.
    private const long PartProducts = 1 << 17;
    private const long ArrangedElements = 1 << 14;
    private const int PartsPerThread = 16;

    // The threads' first parts are half of the whole: a long run of panels is read and fetched ahead best. The rest evens out.
    private const int FirstShare = 2;

    private readonly ForkJoinPool _pool;
    private readonly NativeBuffer _arranged;

    /// <summary>Takes scratch for that many rows of at most that many columns.</summary>
    public PanelProduct(ForkJoinPool pool, int maxRows, int maxColumns)
    {
        _pool = pool;
        _arranged = new NativeBuffer(Math.Max(64, (long)maxRows * maxColumns * sizeof(ushort)));
    }

    /// <summary>Whether a weight can lie in panels.</summary>
    public static bool Fits(WeightMatrix weight) => weight.Type == ElementType.BFloat16 && weight.Columns % 2 == 0;

    /// <summary>Rearranges a row-major weight where it lies.</summary>
    public void Pack(WeightMatrix weight)
    {
        var panels = Panels(weight.Rows);
        var parts = Math.Min(_pool.Threads, panels);
        using var scratch = new NativeBuffer((long)parts * PanelRows * weight.Columns * sizeof(ushort));
        Packing packing;
        packing.Weight = (ushort*)weight.Data;
        packing.Scratch = (ushort*)scratch.Pointer;
        packing.Rows = weight.Rows;
        packing.Columns = weight.Columns;
        _pool.Run(&PackPart, &packing, parts);
        weight.Layout = WeightLayout.Panels;
    }

    /// <summary><c>output[r] = weight · x[r] (+ bias)</c> for the first <paramref name="rows"/> rows.</summary>
    public void Multiply(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        Division division = default;
        division.Threads = _pool.Threads;
        ref var product = ref division.Product;
        product.Weight = (ushort*)weight.Data;
        product.Bias = weight.Bias is null ? null : weight.Bias.Data;
        product.X = x.Data;
        product.XStride = x.Columns;
        product.Arranged = (uint*)_arranged.Pointer;
        product.Y = output.Data;
        product.YStride = output.Columns;
        product.Rows = weight.Rows;
        product.Columns = weight.Columns;
        product.Count = rows;
        var elements = (long)rows * weight.Columns;
        if (elements < 2 * ArrangedElements)
        {
            NativeCpuMethods.ms_cpu_bf16_arrange(&division.Product, 0, weight.Columns / 2);
        }
        else
        {
            _pool.Run(&ArrangePart, &division.Product, (int)Math.Min(elements / ArrangedElements, 4 * _pool.Threads));
        }

        // Weights that come from memory take as long for a few rows as for one.
        var panels = Panels(weight.Rows);
        var cost = (long)weight.Rows * weight.Columns * ((rows + 5) / 6);
        var parts = (int)Math.Min(Math.Min(cost / PartProducts, PartsPerThread * _pool.Threads), (panels + PartPanels - 1) / PartPanels);
        if (parts < 2)
        {
            NativeCpuMethods.ms_cpu_bf16_multiply(&division.Product, 0, panels);
        }
        else
        {
            _pool.Run(&MultiplyPart, &division, parts);
        }
    }

    /// <inheritdoc />
    public void Dispose() => _arranged.Dispose();

    private static int Panels(int rows) => (rows + PanelRows - 1) / PanelRows;

    private static void PackPart(void* context, int part, int parts)
    {
        var packing = (Packing*)context;
        var panels = (long)Panels(packing->Rows);
        NativeCpuMethods.ms_cpu_bf16_pack(
            packing->Weight,
            packing->Rows,
            packing->Columns,
            (int)(panels * part / parts),
            (int)(panels * (part + 1) / parts),
            packing->Scratch + ((long)part * PanelRows * packing->Columns));
    }

    private static void ArrangePart(void* context, int part, int parts)
    {
        // Whole vectors of sixteen pairs.
        var product = (PanelProductArguments*)context;
        var pairs = product->Columns / 2;
        var vectors = (pairs + 15) / 16;
        NativeCpuMethods.ms_cpu_bf16_arrange(
            product, vectors * part / parts * 16, Math.Min(pairs, vectors * (part + 1) / parts * 16));
    }

    private static void MultiplyPart(void* context, int part, int parts)
    {
        // Parts are whole groups of panels, so that only the last one meets fewer.
        var division = (Division*)context;
        var panels = Panels(division->Product.Rows);
        var groups = (panels + PartPanels - 1) / PartPanels;
        var firstParts = parts > division->Threads ? division->Threads : 0;
        var length = firstParts == 0 ? 0 : groups / FirstShare / firstParts;
        var first = part < firstParts ? part * length : Rest(part);
        var last = part < firstParts ? (part + 1) * length : Rest(part + 1);
        NativeCpuMethods.ms_cpu_bf16_multiply(&division->Product, first * PartPanels, Math.Min(panels, last * PartPanels));

        int Rest(int number)
        {
            var begin = firstParts * length;
            return begin + (int)((long)(groups - begin) * (number - firstParts) / (parts - firstParts));
        }
    }

    private struct Division
    {
        public PanelProductArguments Product;
        public int Threads;
    }

    private struct Packing
    {
        public ushort* Weight;
        public ushort* Scratch;
        public int Rows;
        public int Columns;
    }
}
