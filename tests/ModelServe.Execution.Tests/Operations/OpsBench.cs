using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Cpu.Attention;

namespace ModelServe.Execution.Tests.Operations;

/// <summary>Random inputs for single operations, and the memory they lie in.</summary>
internal sealed unsafe class OpsBench : IDisposable
{
    private readonly List<NativeBuffer> _memory = [];
    private readonly Dictionary<WeightMatrix, float[]> _weights = [];
    private readonly Random _random;

    public OpsBench(TestedOps kind, AttentionShape? attention = null, int seed = 1)
    {
        Attention = attention ?? new AttentionShape(4, 2, 16, 0.25f, 0);
        Shape = new OpsShape(64, 8, 256, 64, 96, 199, Attention);
        Ops = OpsKinds.Make(kind, Shape);
        Geometry = new ExecutorGeometry(199, 256, 16, 40, 8, 64);
        _random = new Random(seed);
    }

    public AttentionShape Attention { get; }

    public OpsShape Shape { get; }

    public IOps Ops { get; }

    public ExecutorGeometry Geometry { get; }

    public float Next(float scale = 1) => (float)((_random.NextDouble() * 2) - 1) * scale;

    public Activation Random(int rows, int columns)
    {
        var activation = new Activation((float*)Take((long)rows * columns * 4), rows, columns);
        Fill(activation.Data, rows * columns, 1);
        return activation;
    }

    public WeightVector Vector(int length)
    {
        var data = (float*)Take(length * 4L);
        Fill(data, length, 1);
        return new WeightVector(data, length);
    }

    public WeightMatrix Matrix(ElementType type, int rows, int columns, bool bias = false)
    {
        var elements = rows * columns;
        var data = Take((long)elements * type.Bytes());
        for (var i = 0; i < elements; i++)
        {
            if (type == ElementType.Float32)
            {
                ((float*)data)[i] = Next();
            }
            else
            {
                ((ushort*)data)[i] = BFloat.FromSingle(Next());
            }
        }

        var matrix = new WeightMatrix(data, type, rows, columns, bias ? Vector(rows) : null);
        _weights[matrix] = [.. Enumerable.Range(0, elements).Select(i =>
            type == ElementType.Float32 ? ((float*)data)[i] : BFloat.ToSingle(((ushort*)data)[i]))];
        Ops.Adopt(matrix);
        return matrix;
    }

    /// <summary>A weight as it was before the operations took it over.</summary>
    public float Element(WeightMatrix matrix, int row, int column) => _weights[matrix][(row * matrix.Columns) + column];

    public RotaryTable Rotary(int positions)
    {
        var half = Attention.HeadDim / 2;
        var cosines = (float*)Take((long)positions * half * 4);
        var sines = (float*)Take((long)positions * half * 4);
        for (var i = 0; i < positions * half; i++)
        {
            var angle = Next(3);
            cosines[i] = MathF.Cos(angle);
            sines[i] = MathF.Sin(angle);
        }

        return new RotaryTable(cosines, sines, positions, half);
    }

    /// <summary>A pool of which every element that nobody stores is not a number.</summary>
    public KvCache Cache(ElementType type, int layers)
    {
        var memory = new NativeBuffer(KvCache.BytesFor(type, layers, Geometry.BlockCount, 16, Attention));
        _memory.Add(memory);
        new Span<byte>(memory.Pointer, (int)memory.Bytes).Fill(0xFF);
        return new KvCache(memory, type, layers, Geometry.BlockCount, 16, Attention);
    }

    public static float Key(KvCache cache, int layer, int slot, int head, int d) =>
        CacheElements.Read(cache, layer, slot / 16, head, slot % 16, d, key: true);

    public static float Value(KvCache cache, int layer, int slot, int head, int d) =>
        CacheElements.Read(cache, layer, slot / 16, head, slot % 16, d, key: false);

    public static void Store(KvCache cache, int layer, int slot, int head, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        CacheElements.Write(cache, layer, slot / 16, head, slot % 16, key, key: true);
        CacheElements.Write(cache, layer, slot / 16, head, slot % 16, value, key: false);
    }

    /// <summary>A step in which sequence i feeds <c>count</c> tokens after <c>first</c>; blocks are interleaved between sequences.</summary>
    public StepBatch Batch(params (int First, int Count)[] sequences)
    {
        var plan = new StepPlan(Geometry);
        var free = new Stack<int>(Enumerable.Range(1, Geometry.BlockCount - 1).OrderBy(_ => _random.Next()));
        for (var i = 0; i < sequences.Length; i++)
        {
            var (first, count) = sequences[i];
            var slot = sequences.Length - 1 - i;
            plan.NewSlots[i] = new SlotAssignment(slot, SamplingOptions.Greedy, default, 0);
            plan.Slots[i] = slot;
            plan.FirstPositions[i] = first;
            plan.Samples[i] = i % 2 == 0;
            for (var block = 0; block * 16 < first + count; block++)
            {
                plan.BlockTables[(slot * plan.BlockTableStride) + block] = free.Pop();
            }

            for (var t = 0; t < count; t++)
            {
                plan.TokenIds[plan.TokenCount++] = _random.Next(199);
            }

            plan.TokenStarts[i + 1] = plan.TokenCount;
        }

        plan.SequenceCount = sequences.Length;
        var batch = new StepBatch(Geometry);
        batch.Fill(plan, new int[Geometry.MaxSequences]);
        Ops.BeginStep(batch);
        return batch;
    }

    public void Dispose()
    {
        Ops.Dispose();
        _memory.ForEach(memory => memory.Dispose());
    }

    private byte* Take(long bytes)
    {
        var memory = new NativeBuffer(bytes);
        _memory.Add(memory);
        return memory.Pointer;
    }

    private void Fill(float* data, int count, float scale)
    {
        for (var i = 0; i < count; i++)
        {
            data[i] = Next(scale);
        }
    }
}
