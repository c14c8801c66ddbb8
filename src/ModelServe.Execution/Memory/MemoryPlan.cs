using System.Globalization;
using System.Text;
using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Memory;

/// <summary>Where every byte of a model goes, computed from shapes before anything is loaded.</summary>
public sealed record MemoryPlan
{
    /// <summary>Tokens of a key-value block.</summary>
    public const int BlockTokens = 16;

    /// <summary>Share of the memory left beside weights and activations that key-value blocks take unless told otherwise.</summary>
    private const double DefaultCacheShare = 0.25;

    /// <summary>How weights and key-value blocks are stored.</summary>
    public required ElementType Type { get; init; }

    /// <summary>How key-value blocks are stored where not as the weights.</summary>
    public ElementType? KeyValueType { get; init; }

    /// <summary>How key-value blocks are stored.</summary>
    public ElementType CacheType => KeyValueType ?? Type;

    /// <summary>The device that holds it all, in few words; empty for the host.</summary>
    public string Device { get; init; } = "";

    /// <summary>Bytes of scratch, step state and sampling on a device; the host's are among the activations.</summary>
    public long WorkspaceBytes { get; init; }

    /// <summary>Bytes set aside for captured graphs, kernels and the driver's own needs.</summary>
    public long GraphBytes { get; init; }

    /// <summary>How the weights are quantised, in few words; empty if they are not.</summary>
    public string Quantization { get; init; } = "";

    /// <summary>Bytes that the threads which read the weights use meanwhile, beside the weights.</summary>
    public long LoadingBytes { get; init; }

    /// <summary>Bytes of the weights as they are read, which the other parts are planned beside.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes that a loaded model's weights take, where they were packed after they had been read; those beyond went back to the system.</summary>
    public long HeldWeightBytes
    {
        get => field == 0 ? WeightBytes : field;
        init;
    }

    /// <summary>Bytes of the rotary tables.</summary>
    public required long RotaryBytes { get; init; }

    /// <summary>Bytes of the activations.</summary>
    public required long ActivationBytes { get; init; }

    /// <summary>Bytes of one block over all layers.</summary>
    public required long BlockBytes { get; init; }

    /// <summary>Bytes that this process may use.</summary>
    public required long BudgetBytes { get; init; }

    /// <summary>The sizes that engine and executor agree on.</summary>
    public required ExecutorGeometry Geometry { get; init; }

    /// <summary>Bytes of all blocks.</summary>
    public long CacheBytes => BlockBytes * Geometry.BlockCount;

    /// <summary>Bytes of everything.</summary>
    public long TotalBytes => HeldWeightBytes + RotaryBytes + ActivationBytes + WorkspaceBytes + GraphBytes + CacheBytes;

    /// <summary>Plans a model for a budget of memory.</summary>
    /// <exception cref="MemoryPlanException">It cannot fit, or an option is out of range.</exception>
    internal static MemoryPlan Make(
        ModelConfig config, ElementType type, ModelLoadOptions options, long budgetBytes, QuantizationChoice choice)
    {
        Require("max-running", options.MaxSequences, 1, 4096);
        Require("max-batched-tokens", options.MaxBatchedTokens, options.MaxSequences, 1 << 20);
        if (options.MaxModelLength is { } asked)
        {
            Require("max-model-len", asked, 1, config.MaxPositions);
        }

        var longest = options.MaxModelLength ?? config.MaxPositions;
        var weights = new WeightMap(config, type, choice).Bytes;
        var activations = CausalDecoder.ArenaBytes(Shape(config, options.MaxSequences, options.MaxBatchedTokens, longest));
        ElementType? cacheType = options.KeyValueFormat switch
        {
            KeyValueFormat.BFloat16 => ElementType.BFloat16,
            KeyValueFormat.Int8 => ElementType.Int8,
            _ => null,
        };
        var blockBytes = KvCache.BytesFor(cacheType ?? type, config.Layers, 1, BlockTokens, config.Attention);
        var free = budgetBytes - weights - activations - RotaryMemory.BytesFor(config, longest);
        var cacheBytes = options.KvMemoryBytes ?? (long)(free * DefaultCacheShare);
        if (free <= 0 || cacheBytes > free)
        {
            throw new MemoryPlanException(
                $"memory: at most {Mebibytes(budgetBytes)}; got weights {Mebibytes(weights)} + activations {Mebibytes(activations)} + " +
                $"rotary tables {Mebibytes(RotaryMemory.BytesFor(config, longest))} + key-value blocks {Mebibytes(Math.Max(0, cacheBytes))}");
        }

        // One block more than is used: block 0 is never rented.
        var useful = ((long)options.MaxSequences * BlocksFor(longest)) + 1;
        var blocks = (int)Math.Min(Math.Min(useful, cacheBytes / blockBytes), int.MaxValue);
        var needed = BlocksFor(longest) + 1;
        if (blocks < needed)
        {
            // A length that nobody asked for gives way to the memory, down to one block; the table shows it.
            var leastBlocks = options.MaxModelLength is null ? 2 : needed;
            if (blocks < leastBlocks)
            {
                throw new MemoryPlanException(
                    $"kv-memory: at least {Mebibytes(leastBlocks * blockBytes)} ({leastBlocks} blocks for one sequence of " +
                    $"{options.MaxModelLength ?? BlockTokens} tokens); got {Mebibytes(cacheBytes)} ({blocks} blocks)");
            }

            longest = (blocks - 1) * BlockTokens;
        }

        return new MemoryPlan
        {
            Type = type,
            KeyValueType = cacheType,
            Quantization = choice.Description,
            LoadingBytes = WeightReader.ChunkBytes + (choice.IsNone ? 0 : LoadingThreads(options) * QuantizingReader.ScratchBytes(MaxColumns(config))),
            WeightBytes = weights,
            RotaryBytes = RotaryMemory.BytesFor(config, longest),
            ActivationBytes = activations,
            BlockBytes = blockBytes,
            BudgetBytes = budgetBytes,
            Geometry = new ExecutorGeometry(
                config.VocabularySize, longest, BlockTokens, blocks, options.MaxSequences, options.MaxBatchedTokens),
        };
    }

    /// <summary>The plan as a table, one line a part.</summary>
    public string ToTable()
    {
        var table = new StringBuilder();
        var type = Type == ElementType.Float32 ? "float32" : "bfloat16";
        var packed = HeldWeightBytes == WeightBytes ? "" : $", packed without loss from {Mebibytes(WeightBytes)}";
        Line("weights", HeldWeightBytes, (Quantization.Length == 0 ? type : $"{Quantization}, others {type}") + packed);
        Line("rotary tables", RotaryBytes, $"{Geometry.MaxModelLength} positions");
        Line("activations", ActivationBytes, $"{Geometry.MaxBatchedTokens} tokens a step");
        if (Device.Length > 0)
        {
            Line("workspace", WorkspaceBytes, $"attention, products and sampling of {Geometry.MaxSequences} sequences");
            Line("graphs", GraphBytes, "captured steps, kernels, driver");
        }

        var blocks = CacheType switch
        {
            ElementType.Float8 => " in fp8",
            ElementType.Int8 => " in int8",
            _ => "",
        };
        Line("key-value blocks", CacheBytes, $"{Geometry.BlockCount} blocks of {BlockTokens} tokens{blocks}, {BlockBytes} bytes each");
        Line("total", TotalBytes, Device.Length > 0 ? $"of {Mebibytes(BudgetBytes)} on {Device}" : $"of {Mebibytes(BudgetBytes)}");
        if (Device.Length > 0)
        {
            return table.ToString();
        }

        Line("while loading", WeightBytes + RotaryBytes + LoadingBytes, $"of which {Mebibytes(LoadingBytes)} are given back");
        return table.ToString();

        void Line(string part, long bytes, string note) =>
            table.Append(CultureInfo.InvariantCulture, $"{part,-18}{Mebibytes(bytes),14}  {note}").Append('\n');
    }

    /// <summary>The largest sizes that the operations will meet.</summary>
    internal static OpsShape Shape(ModelConfig config, int maxSequences, int maxRows, int maxContext) =>
        new(maxRows, maxSequences, maxContext, config.HiddenSize, config.IntermediateSize, config.VocabularySize, config.Attention);

    private static int LoadingThreads(ModelLoadOptions options) => options.Threads ?? Environment.ProcessorCount;

    private static int MaxColumns(ModelConfig config) =>
        Math.Max(config.HiddenSize, Math.Max(config.IntermediateSize, config.Attention.QueryColumns));

    private static long BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:N1} MiB");

    private static void Require(string option, int value, int min, int max)
    {
        if (value < min || value > max)
        {
            throw new MemoryPlanException($"{option}: {min}..{max}; got {value}");
        }
    }
}
