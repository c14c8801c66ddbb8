using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Panels;

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

    /// <summary>Most rows of a block of activations, which one thread normalises: MS_BLOCK.</summary>
    public const int BlockRows = 12;

    // Multiplications below which a product is not worth its handing over; of few rows, they take as long as of the most of these.
    private const long SharedProducts = 1 << 18;

    // What a waiting thread fetches before it looks for work again, and at most: a quarter of a second-level cache of 1 MiB.
    private const int PiecePairs = 4;
    private const int MostPieces = 256;

    // Elements of activations that are worth a thread's arranging them.
    private const long ArrangedElements = 1 << 13;

    private readonly ForkJoinPool _pool;
    private readonly bool _narrow;
    private readonly NativeBuffer _arranged;
    private readonly NativeBuffer _shares;
    private readonly NativeBuffer _prepared;

    // What comes next, where threads that wait find it.
    private readonly PanelFollow* _next;
    private PanelFollower? _last;

    /// <summary>Takes scratch for that many rows of at most that many columns; weights are kept in 12 bits, where that loses nothing, if <paramref name="narrow"/>.</summary>
    public PanelProduct(ForkJoinPool pool, int maxRows, int maxColumns, bool narrow = false)
    {
        _narrow = narrow;
        _pool = pool;
        _arranged = new NativeBuffer(Math.Max(64, (long)maxRows * maxColumns * sizeof(ushort)));
        _shares = new NativeBuffer(PartShares.BytesFor(pool.Threads));
        _prepared = new NativeBuffer(PreparedGroups.BytesFor(PanelCut.MostGroups(maxRows, pool.Threads)));
        _next = (PanelFollow*)pool.DoMeanwhile(&FetchPiece, sizeof(PanelFollow));
    }

    /// <summary>Whether a weight can lie in panels.</summary>
    public static bool Fits(WeightMatrix weight) => weight.Type == ElementType.BFloat16 && weight.Columns % 2 == 0;

    /// <summary>Rearranges a row-major weight where it lies.</summary>
    public void Pack(WeightMatrix weight) => PanelPacking.Pack(_pool, weight, _narrow);

    /// <summary>Whether a weight lies in panels, of either width.</summary>
    public static bool IsPacked(WeightMatrix weight) => weight.Layout is WeightLayout.Panels or WeightLayout.NarrowPanels;

    /// <summary>Whether a weight of gate rows, then up rows can be multiplied and gated in one.</summary>
    public static bool FitsGated(WeightMatrix weight) => IsPacked(weight) && weight.Rows % (2 * PanelRows) == 0;

    /// <summary><c>output[r] = weight · x[r] (+ bias)</c> for the first <paramref name="rows"/> rows.</summary>
    public void Multiply(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        PanelDivision division = default;
        Describe(&division, weight, output, rows);
        division.Product.X = x.Data;
        division.Product.XStride = x.Columns;
        Multiply(&division, weight);
    }

    /// <summary>As <see cref="Multiply(Activation, WeightMatrix, Activation, int)"/>, of rows that are normalised first, after what is pending was added to them.</summary>
    public void MultiplyNormed(
        Activation residual, Activation? pending, WeightVector gain, float epsilon, WeightMatrix weight, Activation output, int rows)
    {
        PanelDivision division = default;
        Describe(&division, weight, output, rows);
        DescribeNorm(&division, residual, pending, gain, epsilon);
        Multiply(&division, weight);
    }

    /// <summary>As <see cref="MultiplyNormed"/>, by a weight that <see cref="FitsGated"/>, and <c>output[r, i] = silu(y[r, i]) * y[r, n + i]</c> of what that gives.</summary>
    /// <remarks><paramref name="gateUp"/> is scratch, of weight.Rows columns. The results never leave the registers of the thread that makes them.</remarks>
    public void MultiplyGated(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        WeightMatrix weight,
        Activation gateUp,
        Activation output,
        int rows)
    {
        PanelDivision division = default;
        Describe(&division, weight, gateUp, rows);
        division.Product.Gated = output.Data;
        division.Product.GatedStride = output.Columns;
        DescribeNorm(&division, residual, pending, gain, epsilon);
        Multiply(&division, weight);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _prepared.Dispose();
        _shares.Dispose();
        _arranged.Dispose();
    }

    private void Describe(PanelDivision* division, WeightMatrix weight, Activation y, int rows)
    {
        var product = &division->Product;
        product->Weight = (ushort*)weight.Data;
        product->HeadLines = weight.HeadLines;
        product->Bias = weight.Bias is null ? null : weight.Bias.Data;
        product->Arranged = (uint*)_arranged.Pointer;
        product->Y = y.Data;
        product->YStride = y.Columns;
        product->Rows = weight.Rows;
        product->Columns = weight.Columns;
        product->Count = rows;
    }

    private static void DescribeNorm(PanelDivision* division, Activation residual, Activation? pending, WeightVector gain, float epsilon)
    {
        division->Norm.Residual = residual.Data;
        division->Norm.Delta = pending is null ? null : pending.Data;
        division->Norm.Gain = gain.Data;
        division->Norm.Epsilon = epsilon;
    }

    private void Multiply(PanelDivision* division, WeightMatrix weight)
    {
        var product = &division->Product;
        var cost = (long)product->Rows * product->Columns * ((product->Count + PanelCut.FewRows - 1) / PanelCut.FewRows);
        division->Cut = PanelCut.Of(product, _pool.Threads);
        division->Next = _next;
        Foresee(product, (PanelFollower?)weight.Companion, division->Next);
        var isShared = division->Cut.Shares > 1 && cost >= SharedProducts;
        var byRows = isShared && division->Cut.Groups > 1;
        if (!byRows)
        {
            Prepare(division);
        }

        if (!isShared)
        {
            NativePanelMethods.ms_cpu_bf16_multiply(product, 0, product->OwnPanels, null, 0);
            return;
        }

        division->Shares.Begin(_shares.Pointer, division->Cut.Units, division->Cut.Shares);
        division->Prepared.Begin(_prepared.Pointer, byRows ? division->Cut.Groups : 0);
        _pool.OfferPieces();
        _pool.RunShares(&PanelDivision.Run, division, division->Cut.Shares, division->Cut.Units);
    }

    // Normalises or only arranges the activations.
    private void Prepare(PanelDivision* division)
    {
        var product = &division->Product;
        if (division->Norm.Residual is not null)
        {
            if (product->Blocks == 1 || _pool.Threads == 1)
            {
                NativePanelMethods.ms_cpu_bf16_norm(product, &division->Norm, 0, product->Blocks);
            }
            else
            {
                _pool.Run(&NormalisePart, division, product->Blocks);
            }

            return;
        }

        var parts = (int)Math.Min((long)product->Count * product->Columns / ArrangedElements, _pool.Threads);
        if (parts < 2)
        {
            NativePanelMethods.ms_cpu_bf16_arrange(product, 0, product->Columns / 2);
        }
        else
        {
            // A part is a range of columns: mostly those that the thread has made itself, where they come from a product.
            _pool.Run(&ArrangePart, product, parts);
        }
    }

    // Notes what followed the product before this one, and finds what followed this one the last time.
    private void Foresee(PanelProductArguments* product, PanelFollower? own, PanelFollow* follow)
    {
        if (_last is not null)
        {
            _last.Next = *product;
        }

        _last = own;
        follow->Product = own is null ? default : own.Next;
        follow->Product.Count = product->Count;
        follow->Cut = follow->Product.Weight is null ? default : PanelCut.Of(&follow->Product, _pool.Threads);
        follow->Product.Count = Math.Max(1, product->Count / Math.Max(1, follow->Cut.Groups));
    }

    private static int Panels(int rows) => (rows + PanelRows - 1) / PanelRows;

    private static void ArrangePart(void* context, int part, int parts)
    {
        // Whole vectors of sixteen pairs.
        var product = (PanelProductArguments*)context;
        var pairs = product->Columns / 2;
        var vectors = (pairs + 15) / 16;
        NativePanelMethods.ms_cpu_bf16_arrange(
            product, vectors * part / parts * 16, Math.Min(pairs, vectors * (part + 1) / parts * 16));
    }

    private static void NormalisePart(void* context, int part, int parts)
    {
        var division = (PanelDivision*)context;
        NativePanelMethods.ms_cpu_bf16_norm(&division->Product, &division->Norm, part, part + 1);
    }

    // While a thread waits, the memory would stand still: the thread has its cache fetch what it will read first.
    private static bool FetchPiece(void* context, int thread, int number)
    {
        // Copied, since the caller may be changing it: what was seen to be no zero must not be one when it divides.
        var follow = (PanelFollow*)context;
        var cut = follow->Cut;
        var piecesOfUnit = ((follow->Product.Columns / 2) + PiecePairs - 1) / PiecePairs;
        if (thread >= cut.Shares || number >= MostPieces || piecesOfUnit == 0 || cut.GroupUnits == 0)
        {
            return false;
        }

        var unit = cut.FirstUnit(thread) + (number / piecesOfUnit);
        if (unit >= cut.FirstUnit(thread + 1))
        {
            return false;
        }

        NativePanelMethods.ms_cpu_bf16_fetch(&follow->Product, cut.FirstPanel(unit), number % piecesOfUnit * PiecePairs, PiecePairs);
        return true;
    }
}
