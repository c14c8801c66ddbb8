using ModelServe.Execution.Kernels;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Attention of a step over the paged cache: rows of one token by work items, chunks by query tiles.</summary>
/// <remarks>Thread: the engine's. The cache's view outlives it.</remarks>
internal sealed unsafe class DeviceAttention
{
    private readonly KernelLauncher _launcher;
    private readonly DeviceState _state;
    private readonly DeviceStep _step;
    private readonly PagedCacheView* _cache;
    private readonly float* _partial;
    private readonly int* _tickets;

    /// <summary>Attention over a cache; takes its scratch now.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public DeviceAttention(
        KernelLauncher launcher,
        KernelStream stream,
        IDeviceMemory memory,
        OpsShape shape,
        int workItems,
        PagedCacheView* cache,
        DeviceState state,
        DeviceStep step)
    {
        (_launcher, _state, _step) = (launcher, state, step);
        _cache = cache;
        _partial = (float*)memory.Take(PartialBytes(workItems, shape.Attention), "partial results of attention");
        var tickets = (long)shape.MaxSequences * shape.Attention.KeyValueHeads * sizeof(int);
        _tickets = (int*)memory.Take(tickets, "tickets of attention");
        stream.Fill(_tickets, 0, tickets);
    }

    /// <summary>Bytes of the partial results of that many work items.</summary>
    public static long PartialBytes(int workItems, AttentionShape attention) =>
        (long)workItems * attention.QueryHeads * (attention.HeadDim + 2) * sizeof(float);

    /// <summary>Launches a layer's attention.</summary>
    /// <remarks>Rows that feed one token come first and go by work items; the rest by query tiles.</remarks>
    public void Attend(Activation fused, AttentionShape shape, int layer, Activation output)
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
        arguments.Tickets = _tickets;
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
        arguments.TokenStart = _state.TokenStarts(_step);
        arguments.ContextLen = _state.ContextLengths;
        arguments.BlockTable = _state.BlockTable;
        arguments.Q = fused.Data;
        arguments.Out = output.Data;
        arguments.KvH = _cache;
        _launcher.AttentionPrefill(arguments);
    }
}
