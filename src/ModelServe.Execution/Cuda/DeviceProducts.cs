using ModelServe.Execution.Kernels;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Products with weights: which kernels make each, and the scratch that they share.</summary>
/// <remarks>
/// Up to 64 rows the library's own kernel reads the weights once and can normalise, gate and add on the way; beyond, cuBLASLt multiplies
/// and the rest are kernels of their own. Weights of fp8 are multiplied as bfloat16 by the former, and by the latter with rows that are
/// quantised too, each by a scale of its own. Where cuBLASLt is missing, the former takes the rows in blocks: slower, and right.
/// </remarks>
internal sealed unsafe class DeviceProducts
{
    private const int BFloat16 = 1;
    private const int Single = 2;
    private const int Float8 = 3;
    private const int Skinny = 1;
    private const int CublasLt = 2;
    private const int SiluMul = 1;

    // cuBLASLt scales each row of fp8 operands from 12.9 on, and on compute capability 9.0; elsewhere it finds no algorithm.
    private const int RowScales = 120900;
    private readonly KernelDevice _device;
    private readonly KernelStream _stream;
    private readonly IDeviceMemory _memory;
    private readonly KernelLauncher _launcher;
    private readonly int _maxRows;
    private readonly bool _hasWide;
    private readonly bool _hasWideFloat8;
    private readonly bool _deterministic;
    private readonly Dictionary<ProductShape, ProductChoice[]> _choices = [];
    private byte* _workspace;
    private long _workspaceBytes;
    private int* _tickets;
    private int _maxFeatures;
    private int _quantisedColumns;

    /// <summary>Products of at most that many rows.</summary>
    /// <param name="device">The device.</param>
    /// <param name="stream">Where they are launched.</param>
    /// <param name="memory">Where scratch comes from.</param>
    /// <param name="maxRows">Most rows.</param>
    /// <param name="deterministic">Whether a row's bits may not depend on how many others there are: then every product is narrow.</param>
    public DeviceProducts(KernelDevice device, KernelStream stream, IDeviceMemory memory, int maxRows, bool deterministic)
    {
        (_device, _stream, _memory, _maxRows, _deterministic) = (device, stream, memory, maxRows, deterministic);
        _launcher = new KernelLauncher(device, stream);
        var info = device.Info();
        _hasWide = info.HasCublaslt != 0;
        _hasWideFloat8 = _hasWide && (info.IsEmulated != 0 || (info.ComputeMajor == 9 && info.CublasltVersion >= RowScales));
    }

    /// <summary>[rows, columns] rows in fp8 for the next wide product; null where no weight is of fp8.</summary>
    public byte* Quantised { get; private set; }

    /// <summary>[rows] their scales.</summary>
    public float* Scales { get; private set; }

    /// <summary>Bytes of the rows in fp8 and their scales.</summary>
    public static long QuantisedBytes(int maxRows, int maxColumns) => (long)maxRows * (maxColumns + sizeof(float)) + 512;

    /// <summary>Takes note of a weight, before <see cref="Prepare"/>.</summary>
    /// <exception cref="ArgumentException">No kernel multiplies by such a weight.</exception>
    public void Adopt(WeightMatrix weight)
    {
        if (weight.Type is not (ElementType.BFloat16 or ElementType.Float8) || weight.Quantized is not null)
        {
            throw new ArgumentException(
                $"a weight must be bfloat16 or fp8, is {weight.Quantized?.Format.ToString() ?? weight.Type.ToString()}", nameof(weight));
        }

        var shape = ShapeOf(weight, ProductRole.Plain, ElementType.BFloat16);
        if (!shape.FitsNarrow && !IsWide(shape))
        {
            throw new ArgumentException(
                $"a weight in {weight.Type} must have a multiple of {ProductShape.NarrowColumns} columns{(_hasWide ? "" : " without cuBLASLt")}, has {weight.Columns}",
                nameof(weight));
        }

        _maxFeatures = Math.Max(_maxFeatures, weight.Rows);
        _quantisedColumns = weight.Type == ElementType.Float8 ? Math.Max(_quantisedColumns, weight.Columns) : _quantisedColumns;
        foreach (var (rows, form) in stackalloc[] { (Math.Min(_maxRows, ProductShape.NarrowRows), ProductForm.Narrow), (_maxRows, ProductForm.Wide) })
        {
            if (form == ProductForm.Wide ? IsWide(shape) : shape.FitsNarrow)
            {
                var arguments = Arguments(weight, form, rows, ElementType.BFloat16);
                arguments.X = arguments.Y = weight.Data;
                arguments.XScale = weight.Scales;
                KernelException.ThrowIfFailed(NativeMethods.ms_gemm_workspace(_device.Handle, &arguments, out var bytes));
                _workspaceBytes = Math.Max(_workspaceBytes, bytes);
            }
        }
    }

    /// <summary>Takes the scratch that the adopted weights need; once, after the last of them.</summary>
    /// <exception cref="MemoryPlanException">The device has not enough left.</exception>
    public void Prepare()
    {
        _workspaceBytes = Math.Max(_workspaceBytes, 256);
        _workspace = _memory.Take(_workspaceBytes, "workspace of products");
        var tickets = ((_maxFeatures / 8) + 1L) * sizeof(int);
        _tickets = (int*)_memory.Take(tickets, "tickets of products");
        _stream.Fill(_tickets, 0, tickets);
        if (_quantisedColumns > 0)
        {
            Quantised = _memory.Take((long)_maxRows * _quantisedColumns, "rows in fp8");
            Scales = (float*)_memory.Take(_maxRows * sizeof(float), "scales of rows in fp8");
        }
    }

    /// <summary>What a weight's products depend on.</summary>
    public static ProductShape ShapeOf(WeightMatrix weight, ProductRole role, ElementType result) =>
        new(role, weight.Rows, weight.Columns, weight.Type, result, weight.Bias is not null);

    /// <summary>How a product of that many rows is made.</summary>
    public ProductChoice Choose(ProductShape shape, int rows)
    {
        var bucket = ProductShape.Bucket(rows);
        if (!_choices.TryGetValue(shape, out var choices))
        {
            choices = new ProductChoice[ProductShape.Bucket(_maxRows) + 1];
            for (var i = 0; i < choices.Length; i++)
            {
                choices[i] = Default(shape, i);
            }

            _choices.Add(shape, choices);
        }

        return choices[bucket];
    }

    /// <summary>Changes how the products of a bucket are made.</summary>
    /// <exception cref="ArgumentException">That form cannot make them.</exception>
    public void Set(ProductShape shape, int bucket, ProductChoice choice)
    {
        if (!Forms(shape, bucket).Contains(choice.Form))
        {
            throw new ArgumentException($"{shape} of up to {ProductShape.RowsOf(bucket)} rows cannot be {choice.Form}", nameof(choice));
        }

        _ = Choose(shape, ProductShape.RowsOf(0));
        _choices[shape][bucket] = choice;
    }

    private bool IsWide(ProductShape shape) => shape.FitsWide && (shape.Type == ElementType.Float8 ? _hasWideFloat8 : _hasWide);

    private ProductChoice Default(ProductShape shape, int bucket) =>
        _deterministic && shape.FitsNarrow ? new ProductChoice(ProductForm.Narrow) : ProductChoice.Default(shape, bucket, IsWide(shape));

    /// <summary>The forms that can make the products of a bucket, the one that is chosen without a measurement first.</summary>
    public IReadOnlyList<ProductForm> Forms(ProductShape shape, int bucket)
    {
        var isNarrow = ProductShape.RowsOf(bucket) <= ProductShape.NarrowRows;
        var first = Default(shape, bucket).Form;
        return
        [
            .. Enum.GetValues<ProductForm>()
                .Where(form => form switch
                {
                    ProductForm.Fused => shape.FitsNarrow && shape.HasNorm && isNarrow,
                    ProductForm.Narrow => shape.FitsNarrow,
                    _ => IsWide(shape),
                })
                .OrderByDescending(form => form == first),
        ];
    }

    /// <summary>Whether the rows of a product so made must be quantised first.</summary>
    public static bool TakesQuantised(WeightMatrix weight, ProductChoice choice) =>
        weight.Type == ElementType.Float8 && choice.Form == ProductForm.Wide;

    /// <summary>Quantises rows for the next wide product with a weight of fp8.</summary>
    public void Quantise(void* rows, int columns, int count, int* trueCount)
    {
        var arguments = QuantFp8Arguments.Create();
        arguments.NRows = count;
        arguments.Columns = columns;
        arguments.Count = trueCount;
        arguments.X = rows;
        arguments.Out = Quantised;
        arguments.Scale = Scales;
        _launcher.QuantFp8(arguments);
    }

    /// <summary>Launches a product.</summary>
    /// <remarks>
    /// An algorithm was measured for its bucket's most rows. Should cuBLASLt refuse it for fewer, the bucket goes by the library's own
    /// estimate from then on: <see cref="Choose"/> tells.
    /// </remarks>
    /// <exception cref="KernelException">The library refused it.</exception>
    public void Multiply(in ProductOperands operands, WeightMatrix weight, ProductShape shape, ProductChoice choice)
    {
        if (choice.Form == ProductForm.Wide)
        {
            try
            {
                MultiplyWide(operands, weight, choice.Algorithm);
            }
            catch (KernelException exception) when (choice.Algorithm is not null && exception.Status == KernelStatus.CublasFailed)
            {
                Set(shape, ProductShape.Bucket(operands.Rows), choice with { Algorithm = null });
                MultiplyWide(operands, weight, null);
            }

            return;
        }

        var width = (long)weight.Rows / (operands.IsGated ? 2 : 1) * operands.Result.Bytes();
        for (var row = 0; row < operands.Rows; row += ProductShape.NarrowRows)
        {
            var arguments = Arguments(operands, weight, choice.Form, Math.Min(ProductShape.NarrowRows, operands.Rows - row));
            arguments.X = (byte*)arguments.X + ((long)row * weight.Columns * sizeof(ushort));
            arguments.Y = (byte*)arguments.Y + (row * width);
            arguments.Residual = operands.IsAdded ? arguments.Y : null;

            // The counter tells the rows of the whole step, not those of a block; what is computed beyond them nobody reads.
            arguments.Count = operands.Rows <= ProductShape.NarrowRows ? operands.Count : null;
            _launcher.Gemm(arguments);
        }
    }

    /// <summary>Times cuBLASLt's algorithms for a product and returns the fastest.</summary>
    /// <exception cref="KernelException">None of them runs.</exception>
    public ProductChoice Tune(in ProductOperands operands, WeightMatrix weight)
    {
        var algorithm = new byte[ProductChoice.AlgorithmBytes];
        var arguments = Arguments(operands, weight, ProductForm.Wide, operands.Rows);
        fixed (byte* target = algorithm)
        {
            KernelException.ThrowIfFailed(
                NativeMethods.ms_gemm_tune(_device.Handle, &arguments, _stream.Handle, target, out var microseconds));
            return new ProductChoice(ProductForm.Wide, algorithm, microseconds);
        }
    }

    private void MultiplyWide(in ProductOperands operands, WeightMatrix weight, byte[]? algorithm)
    {
        fixed (byte* chosen = algorithm)
        {
            var arguments = Arguments(operands, weight, ProductForm.Wide, operands.Rows);
            arguments.AlgoH = chosen;
            _launcher.Gemm(arguments);
        }
    }

    private GemmArguments Arguments(in ProductOperands operands, WeightMatrix weight, ProductForm form, int rows)
    {
        var arguments = Arguments(weight, form, rows, operands.Result);
        arguments.Count = operands.Count;
        arguments.X = arguments.XDtype == Float8 ? Quantised : operands.Input;
        arguments.XScale = Scales;
        arguments.Y = operands.Output;
        arguments.Residual = operands.IsAdded ? operands.Output : null;
        arguments.NormWeight = form == ProductForm.Fused ? operands.NormGain : null;
        arguments.Eps = operands.Epsilon;
        arguments.Workspace = _workspace;
        arguments.WorkspaceBytes = _workspaceBytes;
        arguments.Tickets = _tickets;
        if (operands.IsGated)
        {
            arguments.Epilogue = SiluMul;
            arguments.N = weight.Rows / 2;
        }

        return arguments;
    }

    private static GemmArguments Arguments(WeightMatrix weight, ProductForm form, int rows, ElementType result)
    {
        var isNarrow = form != ProductForm.Wide;
        var arguments = GemmArguments.Create();
        arguments.Path = isNarrow ? Skinny : CublasLt;
        arguments.M = rows;
        arguments.N = weight.Rows;
        arguments.K = weight.Columns;
        arguments.WDtype = weight.Type == ElementType.Float8 ? Float8 : BFloat16;
        arguments.XDtype = isNarrow ? BFloat16 : arguments.WDtype;
        arguments.YDtype = result == ElementType.Float32 ? Single : BFloat16;
        arguments.W = weight.Data;
        arguments.WScale = weight.Scales;
        arguments.Bias = weight.Bias is null ? null : weight.Bias.Data;
        return arguments;
    }
}
