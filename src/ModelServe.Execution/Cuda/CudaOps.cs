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
    private const int BFloat16 = 1;
    private const int Single = 2;
    private readonly KernelDevice _device;
    private readonly KernelStream _stream;
    private readonly IDeviceMemory _memory;
    private readonly KernelLauncher _launcher;
    private readonly DeviceState _state;
    private readonly DeviceStep _step;
    private readonly PagedCacheView* _cache;
    private readonly float* _cosSin;
    private readonly float* _partial;
    private readonly int* _attentionTickets;
    private readonly byte* _gathered;
    private readonly int _maxRows;
    private byte* _workspace;
    private long _workspaceBytes;
    private int* _gemmTickets;
    private int _maxFeatures;
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
        DeviceStep step)
    {
        (_device, _stream, _memory, _state, _step) = (device, stream, memory, state, step);
        _launcher = new KernelLauncher(device, stream);
        _maxRows = shape.MaxRows;
        var attention = shape.Attention;
        var partialBytes = PartialBytes(workItems, attention);
        _partial = (float*)memory.Take(partialBytes, "partial results of attention");
        var tickets = (long)shape.MaxSequences * attention.KeyValueHeads * sizeof(int);
        _attentionTickets = (int*)memory.Take(tickets, "tickets of attention");
        stream.Fill(_attentionTickets, 0, tickets);
        _gathered = memory.Take(2L * shape.MaxSequences * shape.HiddenSize * sizeof(ushort), "sampled rows");
        _cosSin = CopyTables(rotary);
        _count = step.TokenCount;
        _cache = (PagedCacheView*)NativeMemory.Alloc((nuint)sizeof(PagedCacheView));
        *_cache = cache;
    }

    /// <summary>Bytes of the partial results of that many work items.</summary>
    public static long PartialBytes(int workItems, AttentionShape attention) =>
        (long)workItems * attention.QueryHeads * (attention.HeadDim + 2) * sizeof(float);

    /// <inheritdoc />
    public void Adopt(WeightMatrix weight)
    {
        if (weight.Type != ElementType.BFloat16 || weight.Quantized is not null)
        {
            throw new ArgumentException($"a weight must be bfloat16, is {weight.Quantized?.Format.ToString() ?? weight.Type.ToString()}", nameof(weight));
        }

        _maxFeatures = Math.Max(_maxFeatures, weight.Rows);
        foreach (var rows in stackalloc[] { Math.Min(_maxRows, 64), _maxRows })
        {
            var arguments = Product(weight, rows, ElementType.BFloat16);
            arguments.X = arguments.Y = weight.Data;
            KernelException.ThrowIfFailed(NativeMethods.ms_gemm_workspace(_device.Handle, &arguments, out var bytes));
            _workspaceBytes = Math.Max(_workspaceBytes, bytes);
        }
    }

    /// <summary>Takes the scratch that the adopted weights need; once, after the last of them.</summary>
    /// <exception cref="MemoryPlanException">The device has not enough left.</exception>
    public void Prepare()
    {
        _workspaceBytes = Math.Max(_workspaceBytes, 256);
        _workspace = _memory.Take(_workspaceBytes, "workspace of products");
        var tickets = ((_maxFeatures / 8) + 1L) * sizeof(int);
        _gemmTickets = (int*)_memory.Take(tickets, "tickets of products");
        _stream.Fill(_gemmTickets, 0, tickets);
    }

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
        arguments.TokenStart = TokenStarts;
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
    public void Linear(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        var arguments = Product(weight, rows, output.Type);
        arguments.Count = _count;
        arguments.X = x.Data;
        arguments.Y = output.Data;
        arguments.Workspace = _workspace;
        arguments.WorkspaceBytes = _workspaceBytes;
        arguments.Tickets = _gemmTickets;
        _launcher.Gemm(arguments);
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
    /// <remarks>Rows that feed one token come first and go by work items; the rest by query tiles.</remarks>
    public void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output)
    {
        if (_step.DecodeRows > 0)
        {
            AttendSingles(fused, shape, layer, output);
        }

        if (_step.Tiles > 0)
        {
            AttendChunks(fused, shape, layer, output);
        }
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
    /// <remarks>From here to the end of the step the rows are the sampled ones.</remarks>
    public void GatherSampled(StepBatch batch, Activation residual, Activation delta, Activation output)
    {
        _count = _step.SampledCount;
        var columns = output.Columns;
        var unused = _gathered + ((long)output.Rows * columns * sizeof(ushort));
        Gather(residual.Data, output.Data, columns);
        Gather(delta.Data, _gathered, columns);

        // The sum is a by-product of the norm, whose own result nobody reads: any gain will do.
        Normalise(_gathered, output.Data, _gathered, 1, unused, columns, _step.Sampled);
    }

    /// <inheritdoc />
    public void Dispose() => NativeMemory.Free(_cache);

    private int* TokenStarts => _step.Layout.Tiles > 0 ? _step.At(_step.Layout.TokenStarts) : _state.Numbers;

    private static GemmArguments Product(WeightMatrix weight, int rows, ElementType result)
    {
        var arguments = GemmArguments.Create();
        arguments.M = rows;
        arguments.N = weight.Rows;
        arguments.K = weight.Columns;
        arguments.XDtype = BFloat16;
        arguments.WDtype = BFloat16;
        arguments.YDtype = result == ElementType.Float32 ? Single : BFloat16;
        arguments.W = weight.Data;
        arguments.Bias = weight.Bias is null ? null : weight.Bias.Data;
        return arguments;
    }

    private void Normalise(void* x, void* residual, void* gain, float epsilon, void* output, int columns, int rows)
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
        _launcher.AddRmsNorm(arguments);
    }

    private void Gather(void* x, void* output, int columns)
    {
        var arguments = GatherRowsArguments.Create();
        arguments.NRows = _step.Sampled;
        arguments.Columns = columns;
        arguments.Count = _count;
        arguments.Index = _step.Layout.Tiles > 0 ? _step.At(_step.Layout.SampledTokens) : _state.Numbers;
        arguments.X = x;
        arguments.Out = output;
        _launcher.GatherRows(arguments);
    }

    private void AttendSingles(Activation fused, AttentionShape shape, int layer, Activation output)
    {
        var layout = _step.Layout;
        var arguments = AttentionDecodeArguments.Create();
        arguments.NRows = _step.DecodeRows;
        arguments.NWork = _step.Items;
        arguments.NQHeads = shape.QueryHeads;
        arguments.Layer = layer;
        arguments.MaxBlocks = _state.MaxBlocks;
        arguments.Window = shape.Window;
        arguments.SoftmaxScale = shape.Scale;
        arguments.QStride = fused.Columns;
        arguments.WorkCount = _step.WorkCount;
        arguments.WorkRow = _step.At(layout.WorkRows);
        arguments.WorkChunk = _step.At(layout.WorkChunks);
        arguments.WorkIndptr = _step.At(layout.WorkStarts);
        arguments.Slot = _step.At(layout.Slots);
        arguments.ContextLen = _state.ContextLengths;
        arguments.BlockTable = _state.BlockTable;
        arguments.Q = fused.Data;
        arguments.Out = output.Data;
        arguments.Partial = _partial;
        arguments.Tickets = _attentionTickets;
        arguments.KvH = _cache;
        _launcher.AttentionDecode(arguments);
    }

    private void AttendChunks(Activation fused, AttentionShape shape, int layer, Activation output)
    {
        var layout = _step.Layout;
        var arguments = AttentionPrefillArguments.Create();
        arguments.NRows = _step.Rows;
        arguments.NTiles = _step.Tiles;
        arguments.NQHeads = shape.QueryHeads;
        arguments.Layer = layer;
        arguments.MaxBlocks = _state.MaxBlocks;
        arguments.Window = shape.Window;
        arguments.SoftmaxScale = shape.Scale;
        arguments.QStride = fused.Columns;
        arguments.TileCount = _step.TileCount;
        arguments.TileRow = _step.At(layout.TileRows);
        arguments.TileStart = _step.At(layout.TileStarts);
        arguments.Slot = _step.At(layout.Slots);
        arguments.TokenStart = TokenStarts;
        arguments.ContextLen = _state.ContextLengths;
        arguments.BlockTable = _state.BlockTable;
        arguments.Q = fused.Data;
        arguments.Out = output.Data;
        arguments.KvH = _cache;
        _launcher.AttentionPrefill(arguments);
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
