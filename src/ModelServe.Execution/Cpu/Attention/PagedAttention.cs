using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Causal attention over the paged cache: a step is divided once, and its layers are computed one after another by the threads of a pool.</summary>
/// <remarks>A token's result depends on no other token. The pool's caller alone. A call allocates nothing.</remarks>
internal sealed unsafe class PagedAttention : IDisposable
{
    private readonly ForkJoinPool _pool;
    private readonly NativeCpuFeatures _native;
    private readonly AttentionPlan _plan;
    private readonly int _unitRows;
    private readonly NativeBuffer _scratch;
    private readonly NativeBuffer _shares;
    private readonly NativeBuffer _partials;

    /// <summary>Takes all scratch memory.</summary>
    /// <param name="pool">The threads, which live longer.</param>
    /// <param name="shape">The largest sizes.</param>
    /// <param name="native">The features whose native kernels are used.</param>
    public PagedAttention(ForkJoinPool pool, OpsShape shape, NativeCpuFeatures native)
    {
        var attention = shape.Attention;
        var group = attention.QueryHeads / attention.KeyValueHeads;
        _pool = pool;
        _native = native;
        _plan = new AttentionPlan(attention, shape.MaxRows, shape.MaxContext, pool.Threads);
        _unitRows = _plan.TokensPerItem * group;
        _scratch = new NativeBuffer(AttentionWork.BytesFor(_unitRows, attention.HeadDim) * pool.Threads);
        _shares = new NativeBuffer(PartShares.BytesFor(pool.Threads));
        _partials = new NativeBuffer(Math.Max(
            64, (long)_plan.MaxPartials * attention.KeyValueHeads * AttentionWork.PartialFloats(group, attention.HeadDim) * sizeof(float)));
    }

    /// <summary>Divides a step, before its first layer.</summary>
    public void Begin(StepBatch batch) => _plan.Make(batch);

    /// <summary>One layer of the step that was begun.</summary>
    /// <exception cref="ArgumentException">The cache has blocks of another size than the kernels'.</exception>
    public void Attend(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output)
    {
        if (cache.BlockTokens != AttentionTile.Slots)
        {
            throw new ArgumentException($"block tokens: {AttentionTile.Slots}; got {cache.BlockTokens}", nameof(cache));
        }

        fixed (int* tables = batch.BlockTables)
        {
            AttentionWork work;
            work.Items = _plan.Items;
            work.Shares = default;
            work.Shares.Begin(_shares.Pointer, _plan.Starts, _plan.Shares);
            work.BlockTables = tables;
            work.Fused = fused.Data;
            work.Output = output.Data;
            work.Cache = cache.Keys(layer, 0, 0);
            work.HeadBytes = cache.HeadBytes;
            work.Attend = AttentionChoice.For(cache.Type, _native);
            work.Scratch = _scratch.Pointer;
            work.ScratchBytes = AttentionWork.BytesFor(_unitRows, shape.HeadDim);
            work.Partials = (float*)_partials.Pointer;
            work.MaxRows = _unitRows;
            work.Group = shape.QueryHeads / shape.KeyValueHeads;
            work.Heads = shape.KeyValueHeads;
            work.HeadDim = shape.HeadDim;
            work.Window = shape.Window;
            work.Scale = shape.Scale;
            _pool.RunShares(&AttentionWork.Run, &work, _plan.Shares, _plan.Units);

            foreach (ref readonly var split in _plan.Splits)
            {
                AttentionWork.Combine(&work, split);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _plan.Dispose();
        _scratch.Dispose();
        _shares.Dispose();
        _partials.Dispose();
    }
}
