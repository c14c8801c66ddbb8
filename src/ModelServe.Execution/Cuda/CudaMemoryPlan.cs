using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Plans a model's memory on a device from shapes: what is not weights, scratch or graphs becomes key-value blocks.</summary>
internal static class CudaMemoryPlan
{
    /// <summary>What the driver takes for contexts, kernels and a hundred graphs of a few hundred nodes; an estimate, not a measurement.</summary>
    private const long GraphBytes = 768L << 20;

    /// <summary>The most that cuBLASLt is given, and what the skinny kernel's partial sums may need beside it.</summary>
    private const long ProductBytes = 64L << 20;

    /// <summary>Plans a model.</summary>
    /// <exception cref="MemoryPlanException">It does not fit, or an option is out of range; the message has the numbers.</exception>
    public static MemoryPlan Make(ModelConfig config, ModelLoadOptions options, DeviceInfo device, string name)
    {
        Require(options, config);
        var longest = options.MaxModelLength ?? config.MaxPositions;
        var cacheType = options.KeyValueFormat == KeyValueFormat.Float8 ? ElementType.Float8 : ElementType.BFloat16;
        var blockBytes = KvCache.BytesFor(cacheType, config.Layers, 1, MemoryPlan.BlockTokens, config.Attention);
        var budget = BudgetOf(options, device);
        var plan = Parts(config, options, cacheType, blockBytes, budget, longest, 1, device.SmCount, name);
        var rest = budget - (plan.TotalBytes - plan.CacheBytes);
        var cacheBytes = options.KvMemoryBytes ?? Math.Max(0, rest);
        var needed = ((longest + MemoryPlan.BlockTokens - 1) / MemoryPlan.BlockTokens) + 1;
        if (rest <= 0 || cacheBytes > rest)
        {
            throw new MemoryPlanException(
                $"device memory: at most {Mebibytes(budget)} of {name} ({options.GpuMemoryUtilization.ToString(CultureInfo.InvariantCulture)} of {Mebibytes(device.TotalBytes)}, " +
                $"{Mebibytes(device.FreeBytes)} free{Others(options)}); got weights {Mebibytes(plan.WeightBytes)} + activations {Mebibytes(plan.ActivationBytes)} + " +
                $"workspace {Mebibytes(plan.WorkspaceBytes)} + graphs {Mebibytes(plan.GraphBytes)} + rotary tables {Mebibytes(plan.RotaryBytes)} + " +
                $"key-value blocks {Mebibytes(options.KvMemoryBytes ?? needed * blockBytes)}");
        }

        var blocks = (int)Math.Min(cacheBytes / blockBytes, int.MaxValue);
        if (blocks < needed)
        {
            // A length that nobody asked for gives way to the memory; the table shows it.
            longest = options.MaxModelLength is null ? Math.Max(0, blocks - 1) * MemoryPlan.BlockTokens : longest;
            if (longest < MemoryPlan.BlockTokens || options.MaxModelLength is not null)
            {
                throw new MemoryPlanException(
                    $"kv-memory: at least {Mebibytes(needed * blockBytes)} ({needed} blocks for one sequence of {longest} tokens); " +
                    $"got {Mebibytes(cacheBytes)} ({blocks} blocks)");
            }
        }

        return Parts(config, options, cacheType, blockBytes, budget, longest, blocks, device.SmCount, name);
    }

    /// <summary>Where the weights go: bfloat16, and the layers' matrices in fp8 where that was asked for.</summary>
    public static WeightMap MapOf(ModelConfig config, ModelLoadOptions options) =>
        new(config, ElementType.BFloat16, null, ElementType.BFloat16, options.Quantization is null ? null : ElementType.Float8);

    private static int MaxColumns(ModelConfig config) =>
        Math.Max(config.HiddenSize, Math.Max(config.IntermediateSize, config.Attention.QueryColumns));

    /// <summary>Bytes of a device that a model may take: its share, less what other models hold, and never more than is free.</summary>
    public static long BudgetOf(ModelLoadOptions options, DeviceInfo device)
    {
        var left = (long)(device.TotalBytes * options.GpuMemoryUtilization) - options.HeldByOthers.Sum(held => held.Bytes);
        return Math.Max(0, Math.Min(Math.Min(left, device.FreeBytes), options.MemoryBytes ?? long.MaxValue));
    }

    private static string Others(ModelLoadOptions options) =>
        string.Concat(options.HeldByOthers.Select(held => $", '{held.Model}' holds {Mebibytes(held.Bytes)}"));

    private static MemoryPlan Parts(
        ModelConfig config, ModelLoadOptions options, ElementType cacheType, long blockBytes, long budget, int longest, int blocks, int multiprocessors, string name)
    {
        var geometry = new ExecutorGeometry(
            config.VocabularySize, longest, MemoryPlan.BlockTokens, blocks, options.MaxSequences, options.MaxBatchedTokens);
        var shape = CudaResources.Shape(config, geometry);
        var items = new DecodeWorkPlanner(
            GraphBuckets.For(geometry.MaxSequences), longest, config.KeyValueHeads, multiprocessors, options.Deterministic).MaxItems;
        return new MemoryPlan
        {
            Type = ElementType.BFloat16,
            KeyValueType = cacheType,
            Device = name,
            Quantization = options.Quantization is null ? "" : "fp8",
            WeightBytes = MapOf(config, options).Bytes,
            RotaryBytes = RotaryMemory.BytesFor(config, longest),
            ActivationBytes = CausalDecoder.ArenaBytes(shape, ElementType.BFloat16),
            WorkspaceBytes = ProductBytes + DeviceAttention.PartialBytes(items, config.Attention) + DeviceState.BytesFor(geometry) + DeviceSampler.BytesFor(geometry, shape)
                + DeviceScorer.BytesFor(geometry, shape)
                + (options.Quantization is null ? 0 : DeviceProducts.QuantisedBytes(shape.MaxRows, MaxColumns(config))),
            GraphBytes = GraphBytes,
            BlockBytes = blockBytes,
            BudgetBytes = budget,
            Geometry = geometry,
        };
    }

    private static void Require(ModelLoadOptions options, ModelConfig config)
    {
        Require(options.MaxSequences is >= 1 and <= 4096, "max-running", "1..4096", options.MaxSequences);
        Require(
            options.MaxBatchedTokens >= options.MaxSequences && options.MaxBatchedTokens <= 1 << 20,
            "max-batched-tokens", $"{options.MaxSequences}..1048576", options.MaxBatchedTokens);
        Require(
            options.MaxModelLength is null || (options.MaxModelLength >= 1 && options.MaxModelLength <= config.MaxPositions),
            "max-model-len", $"1..{config.MaxPositions}", options.MaxModelLength ?? 0);
        Require(options.GpuMemoryUtilization is > 0 and <= 1, "gpu-memory-utilization", "more than 0, at most 1", options.GpuMemoryUtilization);
        Require(options.Depth is 1 or 2, "depth", "1 or 2", options.Depth);
    }

    private static void Require(bool holds, string option, string limit, IFormattable value)
    {
        if (!holds)
        {
            throw new MemoryPlanException($"{option}: {limit}; got {value.ToString(null, CultureInfo.InvariantCulture)}");
        }
    }

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:N1} MiB");
}
