using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Loading;

/// <summary>Loads a model whose every operation libtorch computes, on the host or on a GPU: slower than kernels, and right for any shape.</summary>
/// <remarks>
/// For models that the GPU's kernels do not cover. Weights and key-value blocks are bfloat16 in libtorch's memory on the device, activations
/// float32; a step is eager and done when it returns, and its tokens are chosen on the host. On the host it is the same code.
/// </remarks>
internal static unsafe class TorchModelLoader
{
    /// <summary>Plans the memory for a budget of bytes on the device.</summary>
    /// <exception cref="ModelLoadException">It does not fit, or an option has no meaning here.</exception>
    public static (MemoryPlan Plan, WeightMap Map) Plan(
        ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options, TorchPlace place, long budget)
    {
        if (options.KeyValueFormat == KeyValueFormat.Float8)
        {
            throw new ModelLoadException($"kv-dtype: auto or bf16 where libtorch computes; got fp8 on {place}");
        }

        if (options.Quantization is { } asked)
        {
            throw new ModelLoadException($"quantize: none where libtorch computes; got {asked.Format.Name()} on {place}");
        }

        var map = new WeightMap(config, ElementType.BFloat16);
        map.Check(checkpoint.Tensors);
        var scratch = ScratchBytes(config);
        var plan = MemoryPlan.Make(config, ElementType.BFloat16, options, budget - scratch, QuantizationChoice.None);

        // By the name that the device was asked for by: what this model holds there must count against the next one's budget.
        return (plan with { WorkspaceBytes = scratch, BudgetBytes = budget, Device = options.Device }, map);
    }

    /// <summary>Loads a model.</summary>
    /// <exception cref="ModelLoadException">It cannot be served there, or a file cannot be read.</exception>
    public static LoadedModel Load(
        ModelConfig config,
        Checkpoint checkpoint,
        ModelLoadOptions options,
        TorchPlace place,
        long budget,
        string reason,
        IProgress<LoadProgress>? progress)
    {
        var (plan, map) = Plan(config, checkpoint, options, place, budget);
        NativeTorch.EnsureLoaded();
        var threads = options.Threads ?? Environment.ProcessorCount;
        TorchMemory? memory = new(place);
        TorchOps? ops = null;
        CausalDecoder? decoder = null;
        HostLogits? logits = null;
        try
        {
            var weights = memory.Take(map.Bytes, "weights");
            ReadWeights(checkpoint, map, memory, weights, progress);
            var blocks = memory.Take(plan.CacheBytes, "key-value blocks");
            var cache = new KvCache(blocks, plan.CacheType, config.Layers, plan.Geometry.BlockCount, MemoryPlan.BlockTokens, config.Attention);
            var shape = MemoryPlan.Shape(config, plan.Geometry.MaxSequences, plan.Geometry.MaxBatchedTokens, plan.Geometry.MaxModelLength);
            var bytes = CausalDecoder.ArenaBytes(shape);
            var arena = new ActivationArena(memory.Take(bytes, "activations"), bytes, ElementType.Float32);
            var bound = map.Bind(weights);
            ops = new TorchOps(threads, place);
            foreach (var matrix in bound.Matrices)
            {
                ops.Adopt(matrix);
            }

            decoder = new CausalDecoder(config, shape, ops, bound, cache, Rotary(config, plan, memory), arena);
            logits = new HostLogits(memory, decoder.Logits);
            var runner = new ModelRunner(decoder, plan.Geometry, logits);
            var model = new LoadedModel(config, plan, OpsKind.Torch, $"libtorch on {place}, {threads} threads", [reason], runner, logits, decoder, ops, memory);
            (memory, ops, decoder, logits) = (null, null, null, null);
            return model;
        }
        finally
        {
            logits?.Dispose();
            decoder?.Dispose();
            ops?.Dispose();
            memory?.Dispose();
        }
    }

    /// <summary>What one operation holds for itself at most: a weight widened to float32, or the largest sequence's keys and values, gathered and widened.</summary>
    private static long ScratchBytes(ModelConfig config)
    {
        long columns = Math.Max(config.Attention.FusedColumns, 2L * config.IntermediateSize);
        return Math.Max(columns, config.VocabularySize) * config.HiddenSize * sizeof(float) * 2;
    }

    private static void ReadWeights(Checkpoint checkpoint, WeightMap map, TorchMemory memory, byte* weights, IProgress<LoadProgress>? progress)
    {
        var needed = map.Slots.Select(slot => slot.Name).ToHashSet(StringComparer.Ordinal);
        var total = checkpoint.Tensors.Values.Where(tensor => needed.Contains(tensor.Name)).Sum(tensor => tensor.Bytes);
        using var host = new NativeBuffer(map.Bytes);
        WeightReader.Read(checkpoint, map, host, new LoadMeter(total, progress));
        memory.CopyIn(weights, host.Pointer, map.Bytes);
    }

    private static RotaryTable Rotary(ModelConfig config, MemoryPlan plan, TorchMemory memory)
    {
        using var host = new RotaryMemory(config, plan.Geometry.MaxModelLength);
        var (half, positions) = (host.Table.Half, host.Table.Positions);
        var bytes = (long)half * positions * sizeof(float);
        var (cosines, sines) = ((nint)memory.Take(bytes, "rotary tables"), (nint)memory.Take(bytes, "rotary tables"));
        memory.CopyIn((byte*)cosines, (byte*)host.Table.Cosines, bytes);
        memory.CopyIn((byte*)sines, (byte*)host.Table.Sines, bytes);
        return new RotaryTable((float*)cosines, (float*)sines, positions, half);
    }
}
