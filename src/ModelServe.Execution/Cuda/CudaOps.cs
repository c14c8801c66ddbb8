using System.Runtime.InteropServices;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>The operations as kernels of the native library, on one stream.</summary>
/// <remarks>
/// Activations, gains and biases are bfloat16 in device memory, sums float32, logits float32. A call launches and returns; nothing
/// is waited for, allocated or copied from the host, so any run of calls can be captured. Which rows are in use, the kernels read
/// on the device (<see cref="DeviceStep"/>); the batch gives launch bounds only.
/// </remarks>
internal sealed unsafe class CudaOps : IOps
{
    private readonly KernelStream _stream;
    private readonly IDeviceMemory _memory;
    private readonly KernelLauncher _launcher;
    private readonly DeviceState _state;
    private readonly DeviceStep _step;
    private readonly PagedCacheView* _cache;
    private readonly float* _cosSin;
    private readonly byte* _gathered;
    private readonly DeviceProducts _products;
    private readonly DeviceAttention _attention;
    private int* _count;

    /// <summary>Operations for at most the given sizes.</summary>
    /// <param name="device">The device.</param>
    /// <param name="stream">Where everything is launched.</param>
    /// <param name="memory">Where scratch comes from.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="workItems">Most work items of decode attention.</param>
    /// <param name="cache">The paged cache.</param>
    /// <param name="rotary">The host's tables; copied.</param>
    /// <param name="state">What stays on the device.</param>
    /// <param name="step">The step worked on, which its owner changes.</param>
    /// <param name="deterministic">Whether the bits of a row's products may not depend on how many others there are.</param>
    /// <exception cref="MemoryPlanException">The device has not enough left.</exception>
    public CudaOps(
        KernelDevice device,
        KernelStream stream,
        IDeviceMemory memory,
        OpsShape shape,
        int workItems,
        PagedCacheView cache,
        RotaryTable rotary,
        DeviceState state,
        DeviceStep step,
        bool deterministic = false)
    {
        (_stream, _memory, _state, _step) = (stream, memory, state, step);
        _launcher = new KernelLauncher(device, stream);
        _products = new DeviceProducts(device, stream, memory, shape.MaxRows, deterministic);
        _gathered = memory.Take(2L * shape.LogitRows * shape.HiddenSize * sizeof(ushort), "sampled rows");
        _cosSin = CopyTables(rotary);
        _count = step.TokenCount;
        _cache = (PagedCacheView*)NativeMemory.Alloc((nuint)sizeof(PagedCacheView));
        *_cache = cache;
        _attention = new DeviceAttention(_launcher, stream, memory, shape, workItems, _cache, state, step);
    }

    /// <summary>The products, for those who choose their kernels.</summary>
    public DeviceProducts Products => _products;

    /// <inheritdoc />
    public void Adopt(WeightMatrix weight) => _products.Adopt(weight);

    /// <summary>Takes the scratch that the adopted weights need; once, after the last of them.</summary>
    /// <exception cref="MemoryPlanException">The device has not enough left.</exception>
    public void Prepare() => _products.Prepare();

    /// <summary>Until the next step every operation works on all rows that it is told of.</summary>
    public void CountAll() => _count = null;

    /// <inheritdoc />
    public void BeginStep(StepBatch batch)
    {
        _count = _step.TokenCount;
        var layout = _step.Layout;
        var arguments = StepBeginArguments.Create();
        arguments.NRows = _step.Rows;
        arguments.NTokens = _step.Tokens;
        arguments.NDeltas = _step.Deltas;
        arguments.MaxBlocks = _state.MaxBlocks;
        arguments.BlockSize = _state.BlockTokens;
        arguments.Counts = _step.Counts;
        arguments.DeltaSlot = _step.At(layout.DeltaSlots);
        arguments.DeltaIndex = _step.At(layout.DeltaIndices);
        arguments.DeltaBlock = _step.At(layout.DeltaBlocks);
        arguments.Slot = _step.At(layout.Slots);
        arguments.TokenStart = _state.TokenStarts(_step);
        arguments.FirstPosition = _step.At(layout.FirstPositions);
        arguments.InputIds = _step.At(layout.InputIds);
        arguments.LastToken = _state.LastTokens;
        arguments.BlockTable = _state.BlockTable;
        arguments.TokenIds = _state.TokenIds;
        arguments.Positions = _state.Positions;
        arguments.KvSlots = _state.KvSlots;
        arguments.ContextLen = _state.ContextLengths;
        _launcher.StepBegin(arguments);
    }

    /// <inheritdoc />
    public void Embed(StepBatch batch, WeightMatrix table, Activation output)
    {
        var arguments = EmbedArguments.Create();
        arguments.NTokens = _step.Tokens;
        arguments.Hidden = output.Columns;
        arguments.Vocab = table.Rows;
        arguments.Scale = 1;
        arguments.Count = _count;
        arguments.Ids = _state.TokenIds;
        arguments.Table = table.Data;
        arguments.Out = output.Data;
        _launcher.Embed(arguments);
    }

    /// <inheritdoc />
    public void Norm(Activation x, WeightVector gain, float epsilon, Activation output, int rows) =>
        Normalise(x.Data, null, gain.Data, epsilon, output.Data, output.Columns, rows);

    /// <inheritdoc />
    public void AddNorm(Activation residual, Activation delta, WeightVector gain, float epsilon, Activation output, int rows) =>
        Normalise(delta.Data, residual.Data, gain.Data, epsilon, output.Data, output.Columns, rows);

    /// <inheritdoc />
    public void Linear(Activation x, WeightMatrix weight, Activation output, int rows) =>
        Multiply(x.Data, weight, output, rows, DeviceProducts.ShapeOf(weight, ProductRole.Plain, output.Type));

    /// <inheritdoc />
    public void NormLinear(
        Activation residual, Activation? pending, WeightVector gain, float epsilon, Activation normed, WeightMatrix weight, Activation output, int rows)
    {
        var shape = DeviceProducts.ShapeOf(weight, ProductRole.Normed, output.Type);
        var choice = _products.Choose(shape, rows);
        NormThenMultiply(residual, pending, gain, epsilon, normed, weight, output, rows, shape, choice, isGated: false);
    }

    /// <inheritdoc />
    public void NormGated(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        Activation normed,
        WeightMatrix weight,
        Activation gateUp,
        Activation output,
        int rows)
    {
        var shape = DeviceProducts.ShapeOf(weight, ProductRole.Gated, output.Type);
        var choice = _products.Choose(shape, rows);
        if (choice.Form != ProductForm.Wide)
        {
            NormThenMultiply(residual, pending, gain, epsilon, normed, weight, output, rows, shape, choice, isGated: true);
            return;
        }

        NormThenMultiply(residual, pending, gain, epsilon, normed, weight, gateUp, rows, shape, choice, isGated: false);
        GatedActivation(gateUp, output, rows);
    }

    /// <inheritdoc />
    /// <remarks>Adds at once, whatever the kernel.</remarks>
    public Activation? LinearInto(Activation x, WeightMatrix weight, Activation residual, Activation delta, int rows)
    {
        Multiply(x.Data, weight, residual, rows, DeviceProducts.ShapeOf(weight, ProductRole.Added, residual.Type));
        return null;
    }

    /// <inheritdoc />
    public void RotateAndStore(
        StepBatch batch,
        Activation fused,
        AttentionShape shape,
        WeightVector? queryGain,
        WeightVector? keyGain,
        float epsilon,
        RotaryTable rotary,
        KvCache cache,
        int layer)
    {
        var arguments = QkRopeKvArguments.Create();
        arguments.NTokens = _step.Tokens;
        arguments.NQHeads = shape.QueryHeads;
        arguments.Layer = layer;
        arguments.Rope = 1;
        arguments.RotaryDim = shape.HeadDim;
        arguments.MaxPosition = rotary.Positions;
        arguments.Eps = epsilon;
        arguments.Count = _count;
        arguments.Positions = _state.Positions;
        arguments.KvSlots = _state.KvSlots;
        arguments.CosSin = _cosSin;
        arguments.QWeight = queryGain is null ? null : queryGain.Data;
        arguments.KWeight = keyGain is null ? null : keyGain.Data;
        arguments.Qkv = fused.Data;
        arguments.KvH = _cache;
        _launcher.QkRopeKv(arguments);
    }

    /// <inheritdoc />
    public void GatedActivation(Activation gateUp, Activation output, int rows)
    {
        var arguments = ActMulArguments.Create();
        arguments.NTokens = rows;
        arguments.Features = output.Columns;
        arguments.Count = _count;
        arguments.GateUp = gateUp.Data;
        arguments.Out = output.Data;
        _launcher.ActMul(arguments);
    }

    /// <inheritdoc />
    public void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output) =>
        _attention.Attend(fused, shape, layer, output);

    /// <inheritdoc />
    /// <remarks>From here to the end of the step the rows are the sampled ones.</remarks>
    public void GatherSampled(StepBatch batch, Activation residual, Activation? pending, Activation output)
    {
        _count = _step.SampledCount;
        var index = _step.Layout.Tiles > 0 ? _step.At(_step.Layout.SampledTokens) : _state.Numbers;
        GatherRows(residual, pending, output, index, _step.Sampled);
    }

    /// <inheritdoc />
    /// <remarks>From here on all rows count that an operation is told of.</remarks>
    public void GatherScored(StepBatch batch, int start, Activation residual, Activation? pending, Activation output, int rows)
    {
        _count = null;
        GatherRows(residual, pending, output, _step.ScoredTokens + start, rows);
    }

    /// <inheritdoc />
    public void Dispose() => NativeMemory.Free(_cache);

    private void Multiply(void* x, WeightMatrix weight, Activation output, int rows, ProductShape shape)
    {
        var choice = _products.Choose(shape, rows);
        if (DeviceProducts.TakesQuantised(weight, choice))
        {
            _products.Quantise(x, weight.Columns, rows, _count);
        }

        _products.Multiply(
            new ProductOperands
            {
                Input = x,
                Output = output.Data,
                Result = output.Type,
                Rows = rows,
                Count = _count,
                IsAdded = shape.Role == ProductRole.Added,
            },
            weight,
            shape,
            choice);
    }

    private void NormThenMultiply(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        Activation normed,
        WeightMatrix weight,
        Activation output,
        int rows,
        ProductShape shape,
        ProductChoice choice,
        bool isGated)
    {
        // What is pending is added by the norm's own kernel; the product's could not write the sum back.
        var isFused = choice.Form == ProductForm.Fused && pending is null;
        if (!isFused)
        {
            var isQuantised = DeviceProducts.TakesQuantised(weight, choice);
            Normalise(
                pending is null ? residual.Data : pending.Data,
                pending is null ? null : residual.Data,
                gain.Data,
                epsilon,
                isQuantised ? _products.Quantised : normed.Data,
                normed.Columns,
                rows,
                isQuantised ? _products.Scales : null);
        }

        _products.Multiply(
            new ProductOperands
            {
                Input = isFused ? residual.Data : normed.Data,
                Output = output.Data,
                Result = output.Type,
                Rows = rows,
                Count = _count,
                NormGain = isFused ? gain.Data : null,
                Epsilon = epsilon,
                IsGated = isGated,
            },
            weight,
            shape,
            choice);
    }

    private void Normalise(void* x, void* residual, void* gain, float epsilon, void* output, int columns, int rows, float* scales = null)
    {
        var arguments = AddRmsNormArguments.Create();
        arguments.NTokens = rows;
        arguments.Hidden = columns;
        arguments.Eps = epsilon;
        arguments.Count = _count;
        arguments.X = x;
        arguments.Residual = residual;
        arguments.Weight = gain;
        arguments.Out = output;
        arguments.OutScale = scales;
        _launcher.AddRmsNorm(arguments);
    }

    private void GatherRows(Activation residual, Activation? pending, Activation output, int* index, int rows)
    {
        var columns = output.Columns;
        Gather(residual.Data, output.Data, columns, index, rows);
        if (pending is not null)
        {
            // The sum is a by-product of the norm, whose own result nobody reads: any gain will do.
            var unused = _gathered + ((long)output.Rows * columns * sizeof(ushort));
            Gather(pending.Data, _gathered, columns, index, rows);
            Normalise(_gathered, output.Data, _gathered, 1, unused, columns, rows);
        }
    }

    private void Gather(void* x, void* output, int columns, int* index, int rows)
    {
        var arguments = GatherRowsArguments.Create();
        arguments.NRows = rows;
        arguments.Columns = columns;
        arguments.Count = _count;
        arguments.Index = index;
        arguments.X = x;
        arguments.Out = output;
        _launcher.GatherRows(arguments);
    }

    /// <summary>[position]: the cosines of its pairs, then their sines.</summary>
    private float* CopyTables(RotaryTable rotary)
    {
        var (half, row) = (rotary.Half, 2 * rotary.Half);
        var host = new float[(long)rotary.Positions * row];
        for (var position = 0; position < rotary.Positions; position++)
        {
            new ReadOnlySpan<float>(rotary.Cosines + ((long)position * half), half).CopyTo(host.AsSpan(checked(position * row), half));
            new ReadOnlySpan<float>(rotary.Sines + ((long)position * half), half).CopyTo(host.AsSpan(checked((position * row) + half), half));
        }

        var bytes = (long)host.Length * sizeof(float);
        var table = (float*)_memory.Take(bytes, "rotary tables");
        fixed (float* source = host)
        {
            _stream.CopyToDevice(table, source, bytes);
            _stream.Synchronize();
        }

        return table;
    }
}
