using ModelServe.Execution.Checkpoints;

namespace ModelServe.Execution.Memory;

/// <summary>Owns a model's weights, key-value pool and rotary tables; the sizes are those of its plan.</summary>
internal sealed class ModelMemory : IDisposable
{
    /// <summary>Takes the memory; weights and pool are not filled yet and cost no page until they are.</summary>
    public ModelMemory(ModelConfig config, MemoryPlan plan)
    {
        Weights = new NativeBuffer(plan.WeightBytes);
        Rotary = new RotaryMemory(config, plan.Geometry.MaxModelLength);
        Blocks = new NativeBuffer(plan.CacheBytes);
        Cache = new KvCache(Blocks, plan.CacheType, config.Layers, plan.Geometry.BlockCount, MemoryPlan.BlockTokens, config.Attention);
    }

    /// <summary>The weights, as <see cref="WeightMap"/> lays them out.</summary>
    public NativeBuffer Weights { get; }

    /// <summary>The rotary tables, filled.</summary>
    public RotaryMemory Rotary { get; }

    /// <summary>The key-value pool.</summary>
    public KvCache Cache { get; }

    private NativeBuffer Blocks { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        Blocks.Dispose();
        Rotary.Dispose();
        Weights.Dispose();
    }
}
