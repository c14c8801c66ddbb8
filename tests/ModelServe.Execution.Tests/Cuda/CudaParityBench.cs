using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>The same numbers twice: in float32 for TorchSharp, the oracle, and in bfloat16 or fp8 on the stub's device.</summary>
/// <remarks>Every number is one of bfloat16, so that both sides start from the same. Outputs are poisoned before an operation.</remarks>
internal sealed unsafe class CudaParityBench : IDisposable
{
    private const ushort Poison = 0x7FC1;
    private const int MaxTokens = 96;
    private readonly List<NativeBuffer> _host = [];
    private readonly KernelDevice _device = new(0);
    private readonly KernelStream _stream;
    private readonly KernelMemory _memory;
    private readonly KernelLauncher _launcher;
    private readonly DeviceStep _step;
    private readonly StepImage _layout;
    private readonly StepWriter _writer;
    private readonly StepOrder _order;
    private readonly DecodeWorkPlanner _work;
    private readonly StepPlan _plan;
    private readonly int[][] _blocks;
    private readonly Random _random;

    public CudaParityBench(AttentionShape? attention = null, ElementType cacheType = ElementType.BFloat16, int hidden = 64, int seed = 1)
    {
        _random = new Random(seed);
        Attention = attention ?? new AttentionShape(2, 1, 32, 0.2f, 0);
        Geometry = new ExecutorGeometry(199, 256, 16, 40, 8, MaxTokens);
        var shape = new OpsShape(MaxTokens, 8, 256, hidden, 96, 199, Attention);
        _stream = new KernelStream(_device);
        _memory = new KernelMemory(_device);
        _launcher = new KernelLauncher(_device, _stream);
        var tile = NativeMethods.ms_prefill_tile_tokens(Attention.QueryHeads / Attention.KeyValueHeads, Attention.HeadDim);
        _work = new DecodeWorkPlanner(8, 256, Attention.KeyValueHeads, 1, deterministic: false);
        var tiles = new PrefillTilePlanner(tile, 8, MaxTokens).MaxTiles;
        _layout = new StepImage(8, MaxTokens, 256, _work.MaxItems, tiles);
        _step = new DeviceStep { Image = _memory.Take(_layout.Bytes, "image"), Layout = _layout };
        var mirror = new BlockTableMirror(Geometry);
        _writer = new StepWriter(Geometry, tile, Attention.Window, mirror, [.. Enumerable.Range(0, 8).Select(_ => new SlotSampling())]);
        _order = new StepOrder(Geometry);
        _plan = new StepPlan(Geometry);
        var free = Enumerable.Range(1, Geometry.BlockCount - 1).ToArray();
        _random.Shuffle(free);
        _blocks = [.. Enumerable.Range(0, 8).Select(slot => free.Where((_, i) => i % 8 == slot).ToArray())];
        Batch = new StepBatch(Geometry);
        Rotary = Tables(256);
        var hostType = cacheType == ElementType.Float8 ? ElementType.Float32 : cacheType;
        HostCache = new KvCache(Host(KvCache.BytesFor(hostType, 2, 40, 16, Attention)), hostType, 2, 40, 16, Attention);
        var view = PagedCacheView.Create();
        view.Dtype = cacheType == ElementType.Float8 ? 3 : 1;
        (view.NLayers, view.NKvHeads, view.HeadDim, view.BlockSize, view.NBlocks) = (2, Attention.KeyValueHeads, Attention.HeadDim, 16, 40);
        view.Base = _memory.Take(KvCache.BytesFor(cacheType, 2, 40, 16, Attention), "cache");
        Cuda = new CudaOps(
            _device, _stream, _memory, shape, _work.MaxItems, view, Rotary, new DeviceState(Geometry, _memory, _stream), _step);
        Torch = new TorchOps(1);
    }

    public AttentionShape Attention { get; }

    public ExecutorGeometry Geometry { get; }

    public CudaOps Cuda { get; }

    public TorchOps Torch { get; }

    public StepBatch Batch { get; }

    public RotaryTable Rotary { get; }

    public KvCache HostCache { get; }

    public float Next() => BFloat.ToSingle(BFloat.FromSingle((float)((_random.NextDouble() * 2) - 1)));

    /// <summary>Random numbers on both sides.</summary>
    public (Activation Host, Activation Device) Random(int rows, int columns)
    {
        var (host, device) = Empty(rows, columns);
        for (var i = 0; i < rows * columns; i++)
        {
            host.Data[i] = Next();
            ((ushort*)device.Data)[i] = BFloat.FromSingle(host.Data[i]);
        }

        return (host, device);
    }

    /// <summary>Poisoned places for results.</summary>
    public (Activation Host, Activation Device) Empty(int rows, int columns, ElementType type = ElementType.BFloat16)
    {
        var host = new Activation((float*)Host((long)rows * columns * sizeof(float)), rows, columns);
        new Span<float>(host.Data, rows * columns).Fill(float.NaN);
        var device = new Activation((float*)_memory.Take((long)rows * columns * type.Bytes(), "activation"), rows, columns, type);
        if (type == ElementType.Float32)
        {
            new Span<float>(device.Data, rows * columns).Fill(float.NaN);
        }
        else
        {
            new Span<ushort>(device.Data, rows * columns).Fill(Poison);
        }

        return (host, device);
    }

    public (WeightVector Host, WeightVector Device) Vector(int length)
    {
        var (host, device) = Random(1, length);
        return (new WeightVector(host.Data, length), new WeightVector(device.Data, length, ElementType.BFloat16));
    }

    /// <summary>A weight on both sides: of fp8, the oracle's is what the device's stands for.</summary>
    public (WeightMatrix Host, WeightMatrix Device) Matrix(ElementType type, int rows, int columns, bool bias = false)
    {
        var (host, device) = Random(rows, columns);
        (WeightVector Host, WeightVector Device)? biases = bias ? Vector(rows) : null;
        WeightMatrix weight;
        if (type == ElementType.Float8)
        {
            var codes = _memory.Take((long)rows * columns, "codes");
            var scales = (float*)_memory.Take(rows * sizeof(float), "scales");
            var arguments = QuantFp8Arguments.Create();
            (arguments.NRows, arguments.Columns) = (rows, columns);
            arguments.X = device.Data;
            arguments.Out = codes;
            arguments.Scale = scales;
            _launcher.QuantFp8(arguments);
            for (var i = 0; i < rows * columns; i++)
            {
                host.Data[i] = Float8Numbers.ToSingle(codes[i]) * scales[i / columns];
            }

            weight = new WeightMatrix(codes, scales, rows, columns, biases?.Device);
        }
        else
        {
            weight = new WeightMatrix(device.Data, type, rows, columns, biases?.Device);
        }

        var oracle = new WeightMatrix(host.Data, ElementType.Float32, rows, columns, biases?.Host);
        Torch.Adopt(oracle);
        Cuda.Adopt(weight);
        return (oracle, weight);
    }

    /// <summary>Begins a step on both sides; sequences that feed one token stand first, sequence i in slot i.</summary>
    public void Begin(params (int First, int Count)[] sequences)
    {
        _plan.Clear();
        for (var i = 0; i < sequences.Length; i++)
        {
            var (first, count) = sequences[i];
            if (first == 0)
            {
                _plan.NewSlots[_plan.NewSlotCount++] = new SlotAssignment(i, SamplingOptions.Greedy, default, 0);
            }

            _plan.Slots[i] = i;
            _plan.FirstPositions[i] = first;
            _plan.Samples[i] = true;
            _blocks[i].CopyTo(_plan.BlockTables.AsSpan(i * _plan.BlockTableStride));
            for (var t = 0; t < count; t++)
            {
                _plan.TokenIds[_plan.TokenCount++] = _random.Next(199);
            }

            _plan.TokenStarts[i + 1] = _plan.TokenCount;
        }

        _plan.SequenceCount = sequences.Length;
        Batch.Fill(_plan, new int[Geometry.MaxSequences]);
        _order.Arrange(_plan);
        Assert.Equal(Enumerable.Range(0, sequences.Length), Enumerable.Range(0, _order.Rows).Select(_order.Sequence));
        _writer.Write(_plan, _order, _work, _layout, _step.Image);
        (_step.Rows, _step.Tokens, _step.Sampled, _step.Deltas) = (_order.Rows, _order.Tokens, _order.Sampled, _layout.Deltas);
        (_step.DecodeRows, _step.Items, _step.Tiles) = (_order.Singles, _work.Count, ((int*)_step.Image)[6]);
        Torch.BeginStep(Batch);
        Cuda.BeginStep(Batch);
    }

    /// <summary>Compares the first rows of a result, or so many of their columns, by the length of their difference.</summary>
    /// <remarks>The row after them must be as it was, unless it <paramref name="mayContinue"/> with numbers.</remarks>
    public static void AssertClose(
        Activation expected, Activation actual, int rows, double tolerance, int? columns = null, bool mayContinue = false)
    {
        double allDifference = 0, allLength = 1e-12;
        for (var row = 0; row < rows; row++)
        {
            double difference = 0, length = 1e-12;
            for (var i = 0; i < (columns ?? expected.Columns); i++)
            {
                var (want, got) = (expected.Row(row)[i], Read(actual, row, i));
                difference += Math.Pow(want - got, 2);
                length += Math.Pow(want, 2);
            }

            // A single row may be a little unlucky.
            Assert.InRange(Math.Sqrt(difference / length), 0, 4 * tolerance);
            allDifference += difference;
            allLength += length;
        }

        Assert.InRange(Math.Sqrt(allDifference / allLength), 0, tolerance);
        for (var i = 0; !mayContinue && rows < actual.Rows && i < actual.Columns; i++)
        {
            Assert.True(float.IsNaN(Read(actual, rows, i)), "a row beyond was written");
        }
    }

    public void Dispose()
    {
        Torch.Dispose();
        Cuda.Dispose();
        _memory.Dispose();
        _stream.Dispose();
        _device.Dispose();
        _host.ForEach(memory => memory.Dispose());
    }

    private static float Read(Activation activation, int row, int column)
    {
        var i = ((long)row * activation.Columns) + column;
        return activation.Type == ElementType.Float32 ? activation.Data[i] : BFloat.ToSingle(((ushort*)activation.Data)[i]);
    }

    private RotaryTable Tables(int positions)
    {
        var half = Attention.HeadDim / 2;
        var cosines = (float*)Host((long)positions * half * 4);
        var sines = (float*)Host((long)positions * half * 4);
        for (var i = 0; i < positions * half; i++)
        {
            var angle = Next() * 3;
            (cosines[i], sines[i]) = (MathF.Cos(angle), MathF.Sin(angle));
        }

        return new RotaryTable(cosines, sines, positions, half);
    }

    private byte* Host(long bytes)
    {
        var memory = new NativeBuffer(bytes);
        _host.Add(memory);
        return memory.Pointer;
    }
}
