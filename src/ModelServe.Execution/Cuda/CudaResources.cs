using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>A model on a device: its memory, its operations and its stream, made from a plan and given back together.</summary>
/// <remarks>Everything that a step will touch is taken here. Thread: that of the loading, then the engine's.</remarks>
internal sealed unsafe class CudaResources : IDisposable
{
    private const int MixedDeltas = 4096;
    private readonly IDeviceMemory _memory;
    private readonly OpsShape _shape;
    private readonly RotaryMemory _rotary;
    private readonly int _multiprocessors;
    private readonly bool _deterministic;
    private readonly DecoderWeights _weights;
    private readonly byte* _arena;
    private readonly long _arenaBytes;

    /// <summary>Takes all memory of a plan.</summary>
    /// <param name="config">The model.</param>
    /// <param name="plan">Where its memory goes.</param>
    /// <param name="map">Where its weights go.</param>
    /// <param name="device">The device; taken over.</param>
    /// <param name="memory">Its memory; taken over.</param>
    /// <param name="deterministic">Whether a row's arithmetic must not depend on its batch.</param>
    /// <exception cref="MemoryPlanException">The device has less left than the plan reckoned with.</exception>
    public CudaResources(
        ModelConfig config, MemoryPlan plan, WeightMap map, KernelDevice device, IDeviceMemory memory, bool deterministic)
    {
        (Device, _memory, _deterministic) = (device, memory, deterministic);
        Geometry = plan.Geometry;
        Window = config.SlidingWindow;
        _multiprocessors = device.Info().SmCount;
        Stream = new KernelStream(device, highPriority: true);
        _shape = Shape(config, Geometry);
        TileTokens = NativeMethods.ms_prefill_tile_tokens(config.QueryHeads / config.KeyValueHeads, config.HeadDim);
        MixedLayout = MixedLayoutOf(Geometry, PlanWork(Geometry.MaxSequences).MaxItems, TileTokens);
        ImageBytes = Math.Max(
            MixedLayout.Bytes,
            GraphBuckets.UpTo(Geometry.MaxSequences).Max(rows => new StepImage(rows, rows, rows, PlanWork(rows).MaxItems, 0).Bytes));
        Weights = memory.Take(map.Bytes, "weights");
        var blocks = memory.Take(plan.CacheBytes, "key-value blocks");
        var cache = new KvCache(blocks, plan.CacheType, config.Layers, Geometry.BlockCount, Geometry.BlockTokens, config.Attention);
        Image = memory.Take(ImageBytes, "step image");
        State = new DeviceState(Geometry, memory, Stream);
        Step = new DeviceStep { Image = Image, Layout = MixedLayout };
        Slots = [.. Enumerable.Range(0, Geometry.MaxSequences).Select(_ => new SlotSampling(Masks))];
        _rotary = new RotaryMemory(config, Geometry.MaxModelLength);
        var items = GraphBuckets.UpTo(Geometry.MaxSequences).Max(rows => PlanWork(rows).MaxItems);
        Ops = new CudaOps(device, Stream, memory, _shape, items, View(cache), _rotary.Table, State, Step, deterministic);
        Sampler = new DeviceSampler(device, Stream, memory, Geometry, _shape, State, Step, Slots);
        Scorer = new DeviceScorer(device, Stream, memory, Geometry, _shape, Slots);
        Step.ScoredTokens = Scorer.Tokens;
        var bytes = CausalDecoder.ArenaBytes(_shape, ElementType.BFloat16);
        _arenaBytes = bytes;
        _arena = memory.Take(bytes, "activations");
        var arena = new ActivationArena(_arena, bytes, ElementType.BFloat16);
        _weights = map.Bind(Weights);
        Model = new CausalDecoder(config, _shape, Ops, _weights, cache, _rotary.Table, arena);
        foreach (var matrix in _weights.Matrices)
        {
            Ops.Adopt(matrix);
        }

        Ops.Prepare();
        Stream.Synchronize();
    }

    /// <summary>The device.</summary>
    public KernelDevice Device { get; }

    /// <summary>The one stream.</summary>
    public KernelStream Stream { get; }

    /// <summary>The sizes.</summary>
    public ExecutorGeometry Geometry { get; }

    /// <summary>Positions that a query sees; 0 for all.</summary>
    public int Window { get; }

    /// <summary>Query tokens of a prefill tile.</summary>
    public int TileTokens { get; }

    /// <summary>Layout of the steps that feed chunks.</summary>
    public StepImage MixedLayout { get; }

    /// <summary>Bytes of the largest image.</summary>
    public int ImageBytes { get; }

    /// <summary>The image on the device.</summary>
    public byte* Image { get; }

    /// <summary>Where the weights go, as their map says.</summary>
    public byte* Weights { get; }

    /// <summary>What stays between steps.</summary>
    public DeviceState State { get; }

    /// <summary>The step that the operations work on.</summary>
    public DeviceStep Step { get; }

    /// <summary>Who makes the masks of constrained sequences.</summary>
    public MaskWorkers Masks { get; } = MaskWorkers.ForThisMachine();

    /// <summary>[slot] how its tokens are chosen.</summary>
    public SlotSampling[] Slots { get; }

    /// <summary>The operations.</summary>
    public CudaOps Ops { get; }

    /// <summary>The choice of tokens.</summary>
    public DeviceSampler Sampler { get; }

    /// <summary>The log probabilities of prompt tokens.</summary>
    public DeviceScorer Scorer { get; }

    /// <summary>The forward pass.</summary>
    public CausalDecoder Model { get; }

    /// <summary>The sizes that operations meet: graphs pad a batch to its bucket, and padded rows need a place.</summary>
    public static OpsShape Shape(ModelConfig config, ExecutorGeometry geometry)
    {
        var rows = GraphBuckets.For(geometry.MaxSequences);
        return MemoryPlan.Shape(config, rows, Math.Max(geometry.MaxBatchedTokens, rows), geometry.MaxModelLength);
    }

    /// <summary>A planner of decode attention for at most that many rows.</summary>
    public DecodeWorkPlanner PlanWork(int rows) =>
        new(rows, Geometry.MaxModelLength, _shape.Attention.KeyValueHeads, _multiprocessors, _deterministic);

    /// <summary>Chooses the kernels of the products by measuring them; the weights are there, and no step has run.</summary>
    /// <returns>What was done, in a sentence.</returns>
    /// <exception cref="KernelException">A product runs in no form.</exception>
    public string Tune(TuningCache? cache)
    {
        using var tuner = new ProductTuner(Ops, Device, Stream, _shape, _arena, _arenaBytes, cache);
        return tuner.Tune(_weights);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Masks.Dispose();
        Sampler.Dispose();
        Model.Dispose();
        Ops.Dispose();
        _rotary.Dispose();
        Stream.Dispose();
        _memory.Dispose();
        Device.Dispose();
    }

    private static StepImage MixedLayoutOf(ExecutorGeometry geometry, int items, int tileTokens)
    {
        var tiles = new PrefillTilePlanner(tileTokens, geometry.MaxSequences, geometry.MaxBatchedTokens).MaxTiles;
        var deltas = Math.Min(MixedDeltas, geometry.MaxSequences * geometry.MaxBlocksPerSequence);
        return new StepImage(geometry.MaxSequences, geometry.MaxBatchedTokens, deltas, items, tiles);
    }

    private PagedCacheView View(KvCache cache)
    {
        var view = PagedCacheView.Create();
        view.Dtype = cache.Type == ElementType.Float8 ? 3 : 1;
        view.NLayers = cache.Layers;
        view.NKvHeads = cache.KeyValueHeads;
        view.HeadDim = cache.HeadDim;
        view.BlockSize = cache.BlockTokens;
        view.NBlocks = cache.Blocks;
        view.Base = cache.Data;
        if (cache.Type == ElementType.Float8)
        {
            view.KScale = view.VScale = Ones(cache.Layers);
        }

        return view;
    }

    /// <summary>Scales of one: keys and values of the models served here stay far inside the range of the type.</summary>
    private float* Ones(int count)
    {
        var scales = (float*)_memory.Take(count * sizeof(float), "scales of key-value blocks");
        var ones = new float[count];
        Array.Fill(ones, 1);
        fixed (float* source = ones)
        {
            Stream.CopyToDevice(scales, source, count * sizeof(float));
            Stream.Synchronize();
        }

        return scales;
    }
}
