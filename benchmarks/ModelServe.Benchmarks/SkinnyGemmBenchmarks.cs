using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Benchmarks;

/// <summary>Products of few rows with weights that no cache holds, beside a plain reading of as many bytes in the same run.</summary>
/// <remarks>The gigabytes per second of either are the bytes of a weight, 2 · Columns · Rows, over the mean.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "The harness calls Stop; it disposes nothing.")]
public unsafe class SkinnyGemmBenchmarks
{
    private const int Columns = 2048;
    private const int Rows = 16384;
    private const int Places = 8;
    private NativeBuffer _weights = null!;
    private ActivationArena _arena = null!;
    private CpuOps _ops = null!;
    private ForkJoinPool _pool = null!;
    private Activation _x = null!;
    private Activation _y = null!;
    private int _next;

    /// <summary>Activation rows.</summary>
    [Params(1, 4, 8, 16)]
    public int Count { get; set; }

    private static long WeightBytes => 2L * Columns * Rows;

    /// <summary>Takes and fills the memory.</summary>
    [GlobalSetup]
    public void Start()
    {
        _weights = DramBandwidth.Filled(Places * WeightBytes);
        _arena = new ActivationArena(ActivationArena.BytesFor(Count, Columns) + ActivationArena.BytesFor(Count, Rows));
        _x = _arena.Carve(Count, Columns);
        _y = _arena.Carve(Count, Rows);
        new Span<float>(_x.Data, Count * Columns).Fill(0.5f);
        _pool = new ForkJoinPool(Environment.ProcessorCount);
        _ops = new CpuOps(
            new OpsShape(Count, Count, 16, Columns, Columns, 16, new AttentionShape(1, 1, 64, 1f, 0)), Environment.ProcessorCount);
        _ops.Adopt(Weight());
    }

    /// <summary>Reads a weight's bytes and does nothing with them.</summary>
    [Benchmark(Baseline = true)]
    public double Read() => DramBandwidth.Once(_pool, _weights.Pointer + (WeightBytes * (_next++ % Places)), WeightBytes);

    /// <summary>The product as a model asks for it.</summary>
    [Benchmark]
    public void Linear() => _ops.Linear(_x, Weight(), _y, Count);

    /// <summary>Gives the memory back.</summary>
    [GlobalCleanup]
    public void Stop()
    {
        _ops.Dispose();
        _pool.Dispose();
        _arena.Dispose();
        _weights.Dispose();
    }

    private WeightMatrix Weight() =>
        new(_weights.Pointer + (WeightBytes * (_next++ % Places)), ElementType.BFloat16, Rows, Columns);
}
