using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Attention;
using ModelServe.Execution.Cpu.Panels;
using ModelServe.Execution.Cpu.Quantized;
using ModelServe.Execution.Cpu.RowMajor;
using ModelServe.Execution.Cpu.Rows;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu;

/// <summary>The operations in vector code over a few threads.</summary>
/// <remarks>
/// Small work stays on the calling thread: a small model runs without ever waking another. Where the native library has kernels
/// for the processor, bfloat16 weights are rearranged for them when they are adopted, and all products with them are its own.
/// In float32, with those kernels or without libtorch, and in bfloat16 up to <see cref="MostOwnRows"/> rows or for small weights, a
/// token's result is the same bit for bit whatever shares its batch. Logits are never made by libtorch: rounded to bfloat16, the best tokens of a
/// vocabulary would often tie.
/// </remarks>
internal sealed unsafe class CpuOps : IOps
{
    /// <summary>Most rows for which large bfloat16 weights meet float32 activations in own code; more go to libtorch.</summary>
    /// <remarks>
    /// With two threads own code is ahead or equal to 16 rows, and more rows keep their independence of batch mates; libtorch's
    /// bfloat16 units are ahead by a fifth from 24 rows on, and nearly twofold at 128.
    /// </remarks>
    public const int MostOwnRows = 16;

    // Below this many multiplications (or elements touched, at a like cost) handing work over costs more than it saves.
    private const long ParallelProducts = 1 << 19;
    private const long ParallelElements = 1 << 14;
    private const long ManagedElements = 1 << 15;

    // Weights of which libtorch makes so little that its call, and its half second of loading, are not worth it.
    private const long LibraryElements = 1 << 20;

    // Activation rows whose arranged copy exists at a time; weights are read again for the next.
    private const int ChunkRows = 128;

    private readonly OpsShape _shape;
    private readonly ForkJoinPool _pool;
    private readonly PagedAttention _attention;
    private readonly NativeBuffer _arranged;
    private readonly RowSharing _rows;
    private readonly bool _wide;
    private readonly bool _hasLibrary;
    private readonly PanelProduct? _panels;
    private readonly QuantizedPath _quantizedPath;
    private QuantizedProduct? _quantized;
    private TorchProduct? _library;
    private bool _pinsCaller;

    /// <summary>Takes all scratch memory and starts the threads.</summary>
    /// <param name="shape">The largest sizes.</param>
    /// <param name="threads">Threads that compute, the caller's counted.</param>
    /// <param name="native">The features whose native kernels are used.</param>
    /// <param name="wide">Overrides the choice of 512-bit registers in the C# kernels.</param>
    /// <param name="pin">Whether each thread keeps to one processor; the caller's from its first step on.</param>
    /// <param name="library">Overrides whether libtorch multiplies many rows, which it does where it is there.</param>
    /// <param name="narrow">Whether the native kernels' bfloat16 weights are kept in 12 bits where that loses nothing.</param>
    public CpuOps(
        OpsShape shape, int threads, NativeCpuFeatures native = NativeCpuFeatures.None, bool? wide = null, bool pin = false, bool? library = null, bool narrow = false)
    {
        _shape = shape;
        _wide = wide ?? Vector512.IsHardwareAccelerated;
        _hasLibrary = library ?? NativeTorch.IsThere();
        _quantizedPath = QuantizedProduct.Best(native, wide);
        _pool = new ForkJoinPool(threads, pin);
        _rows = new RowSharing(_pool);
        _pinsCaller = pin;
        _attention = new PagedAttention(_pool, shape, native);
        var chunk = Math.Min(ChunkRows, Math.Max(shape.MaxRows, shape.MaxSequences));
        if (native.HasFlag(NativeCpuFeatures.Avx512BFloat16))
        {
            _panels = new PanelProduct(_pool, Math.Max(shape.MaxRows, shape.MaxSequences), MaxColumns, narrow);
        }

        _arranged = new NativeBuffer(SkinnyGemm.ArrangedFloats(chunk, MaxColumns) * sizeof(float));
    }

    private int MaxColumns => Math.Max(_shape.HiddenSize, Math.Max(_shape.IntermediateSize, _shape.Attention.QueryColumns));

    /// <inheritdoc />
    public void Adopt(WeightMatrix weight)
    {
        if (weight.Columns > MaxColumns)
        {
            throw new ArgumentException($"weight columns: at most {MaxColumns}; got {weight.Columns}", nameof(weight));
        }

        if (weight.Layout == WeightLayout.Quantized)
        {
            _quantized ??= new QuantizedProduct(_pool, Math.Max(_shape.MaxRows, _shape.MaxSequences), MaxColumns, _quantizedPath);
        }
        else if (_panels is not null && PanelProduct.Fits(weight) && weight.Layout == WeightLayout.RowMajor)
        {
            _panels.Pack(weight);
        }
        else if (_hasLibrary && FitsLibrary(weight) && Math.Max(_shape.MaxRows, _shape.MaxSequences) > MostOwnRows)
        {
            _library ??= new TorchProduct(_pool, Math.Max(_shape.MaxRows, _shape.MaxSequences), MaxColumns);
        }
    }

    /// <inheritdoc />
    public void BeginStep(StepBatch batch)
    {
        if (_pinsCaller)
        {
            ThreadAffinity.KeepTo(0);
            _pinsCaller = false;
        }

        _pool.BeginStep();
        _attention.Begin(batch);
    }

    /// <inheritdoc />
    public void Embed(StepBatch batch, WeightMatrix table, Activation output)
    {
        fixed (int* ids = batch.TokenIds)
        {
            var parallel = (long)batch.TokenCount * table.Columns >= ParallelElements;
            if (table.Quantized is { } shape)
            {
                QuantizedEmbedWork quantized;
                quantized.TokenIds = ids;
                quantized.Table = (byte*)table.Data;
                quantized.Shape = shape;
                quantized.Output = output.Data;
                quantized.Rows = batch.TokenCount;
                Run(&QuantizedEmbedWork.Run, &quantized, parallel);
                return;
            }

            var work = EmbedWork.Of(table, ids, output, batch.TokenCount);
            Run(&EmbedWork.Run, &work, parallel);
        }
    }

    /// <inheritdoc />
    public void Norm(Activation x, WeightVector gain, float epsilon, Activation output, int rows) =>
        Normalise(x, null, gain, epsilon, output, rows);

    /// <inheritdoc />
    public void AddNorm(Activation residual, Activation delta, WeightVector gain, float epsilon, Activation output, int rows) =>
        Normalise(residual, delta, gain, epsilon, output, rows);

    /// <inheritdoc />
    public void Linear(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        if (weight.Layout == WeightLayout.Quantized)
        {
            _quantized!.Multiply(x, weight, output, rows);
        }
        else if (PanelProduct.IsPacked(weight))
        {
            _panels!.Multiply(x, weight, output, rows);
        }
        else if (rows > MostOwnRows && FitsLibrary(weight) && _library is not null)
        {
            _library.Multiply(x, weight, output, rows);
        }
        else
        {
            OwnLinear(x, weight, output, rows);
        }
    }

    /// <inheritdoc />
    public void NormLinear(
        Activation residual, Activation? pending, WeightVector gain, float epsilon, Activation normed, WeightMatrix weight, Activation output, int rows)
    {
        if (PanelProduct.IsPacked(weight))
        {
            _panels!.MultiplyNormed(residual, pending, gain, epsilon, weight, output, rows);
        }
        else
        {
            Normalise(residual, pending, gain, epsilon, normed, rows);
            Linear(normed, weight, output, rows);
        }
    }

    /// <inheritdoc />
    public void NormGated(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        Activation normed,
        WeightMatrix weight,
        Activation gateUp,
        Activation output,
        int rows)
    {
        if (PanelProduct.FitsGated(weight))
        {
            _panels!.MultiplyGated(residual, pending, gain, epsilon, weight, gateUp, output, rows);
        }
        else
        {
            NormLinear(residual, pending, gain, epsilon, normed, weight, gateUp, rows);
            GatedActivation(gateUp, output, rows);
        }
    }

    /// <summary><see cref="Linear"/> without libtorch, whatever the rows.</summary>
    internal void OwnLinear(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        for (var start = 0; start < rows; start += ChunkRows)
        {
            GemmWork work;
            work.Weight = (byte*)weight.Data;
            work.Bias = weight.Bias is null ? null : weight.Bias.Data;
            work.X = x.Data + ((long)start * x.Columns);
            work.XStride = x.Columns;
            work.Arranged = (float*)_arranged.Pointer;
            work.Y = output.Data + ((long)start * output.Columns);
            work.YStride = output.Columns;
            work.Rows = weight.Rows;
            work.Columns = weight.Columns;
            work.Count = Math.Min(ChunkRows, rows - start);
            work.Wide = _wide;
            var rounded = weight.Type == ElementType.BFloat16;
            var arranging = work.Count > 1 && (long)work.Count * work.Columns >= ParallelElements;
            Run(rounded ? &GemmWork.ArrangeRounded : &GemmWork.ArrangeSingle, &work, arranging);
            Run(rounded ? &GemmWork.MultiplyRounded : &GemmWork.MultiplySingle, &work, (long)work.Count * work.Rows * work.Columns >= ParallelProducts);
        }
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
        fixed (int* positions = batch.Positions, slots = batch.CacheSlots)
        {
            RotateWork work;
            work.Fused = fused.Data;
            work.Positions = positions;
            work.CacheSlots = slots;
            work.QueryGain = queryGain is null ? null : queryGain.Data;
            work.KeyGain = keyGain is null ? null : keyGain.Data;
            work.Cosines = rotary.Cosines;
            work.Sines = rotary.Sines;
            work.Cache = cache.Keys(layer, 0, 0);
            work.Type = cache.Type;
            work.HeadBytes = cache.HeadBytes;
            work.BlockTokens = cache.BlockTokens;
            work.Epsilon = epsilon;
            work.Rows = batch.TokenCount;
            work.QueryHeads = shape.QueryHeads;
            work.KeyValueHeads = shape.KeyValueHeads;
            work.HeadDim = shape.HeadDim;
            Run(&RotateWork.Run, &work, (long)work.Rows * shape.FusedColumns >= ParallelElements);
        }
    }

    /// <inheritdoc />
    public void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output) =>
        _attention.Attend(batch, fused, shape, cache, layer, output);

    /// <inheritdoc />
    public void GatedActivation(Activation gateUp, Activation output, int rows)
    {
        GateWork work;
        work.GateUp = gateUp.Data;
        work.Output = output.Data;
        work.Rows = rows;
        work.Columns = output.Columns;
        Run(&GateWork.Run, &work, (long)rows * output.Columns >= ParallelElements);
    }

    /// <inheritdoc />
    public void GatherSampled(StepBatch batch, Activation residual, Activation? pending, Activation output) =>
        RowGather.Run(batch.SampledTokens.AsSpan(0, batch.SampledCount), residual, pending, output);

    /// <inheritdoc />
    public void GatherScored(StepBatch batch, int start, Activation residual, Activation? pending, Activation output, int rows) =>
        RowGather.Run(batch.ScoredTokens.AsSpan(start, rows), residual, pending, output);

    /// <inheritdoc />
    public int Threads => _pool.Threads;

    /// <inheritdoc />
    public void ForEachRow(IRowWork work, int rows, int columns)
    {
        if (rows > 1 && (long)rows * columns >= ManagedElements)
        {
            _rows.Run(work, rows);
            return;
        }

        for (var row = 0; row < rows; row++)
        {
            work.Do(row, 0);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _library?.Dispose();
        _quantized?.Dispose();
        _panels?.Dispose();
        _pool.Dispose();
        _rows.Dispose();
        _attention.Dispose();
        _arranged.Dispose();
    }

    private bool FitsLibrary(WeightMatrix weight) =>
        weight.Type == ElementType.BFloat16 &&
        (long)weight.Rows * weight.Columns >= LibraryElements &&
        weight.Rows != _shape.VocabularySize;

    private void Normalise(Activation x, Activation? delta, WeightVector gain, float epsilon, Activation output, int rows)
    {
        NormWork work;
        work.X = x.Data;
        work.Delta = delta is null ? null : delta.Data;
        work.Gain = gain.Data;
        work.Output = output.Data;
        work.Epsilon = epsilon;
        work.Rows = rows;
        work.Columns = x.Columns;
        Run(&NormWork.Run, &work, rows > 1 && (long)rows * x.Columns >= ParallelElements);
    }

    private void Run(delegate*<void*, int, int, void> body, void* work, bool parallel)
    {
        if (!parallel)
        {
            body(work, 0, 1);
            return;
        }

        _pool.Run(body, work);
    }
}
