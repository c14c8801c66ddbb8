using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Benchmarks;

/// <summary>Paged attention of one layer with 32 query heads over 8 key-value heads of 64, in bfloat16.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The harness calls Stop; it disposes nothing.")]
public unsafe class AttentionBenchmarks
{
    private static readonly AttentionShape Heads = new(32, 8, 64, 0.125f, 0);
    private NativeBuffer _blocks = null!;
    private KvCache _cache = null!;
    private ActivationArena _arena = null!;
    private CpuOps _ops = null!;
    private StepBatch _batch = null!;
    private Activation _fused = null!;
    private Activation _output = null!;

    /// <summary>Sequences, tokens that each feeds, and tokens that each has.</summary>
    [Params("1 x 1 of 1024", "1 x 1 of 8192", "16 x 1 of 1024", "1 x 256 of 512")]
    public string Step { get; set; } = string.Empty;

    /// <summary>Fills cache and batch.</summary>
    [GlobalSetup]
    public void Start()
    {
        var parts = Step.Split(' ');
        var sequences = Number(parts[0]);
        var tokens = Number(parts[2]);
        var context = Number(parts[4]);
        var geometry = new ExecutorGeometry(16, context, 16, (sequences * ((context + 15) / 16)) + 1, sequences, sequences * tokens);
        var plan = new StepPlan(geometry) { StepId = 1, SequenceCount = sequences, TokenCount = sequences * tokens };
        for (var sequence = 0; sequence < sequences; sequence++)
        {
            plan.Slots[sequence] = sequence;
            plan.TokenStarts[sequence + 1] = (sequence + 1) * tokens;
            plan.FirstPositions[sequence] = context - tokens;
            for (var i = 0; i < plan.BlockTableStride; i++)
            {
                plan.BlockTables[(sequence * plan.BlockTableStride) + i] = 1 + (i * sequences) + sequence;
            }
        }

        _batch = new StepBatch(geometry);
        _batch.Fill(plan, new int[sequences]);
        _blocks = DramBandwidth.Filled(KvCache.BytesFor(ElementType.BFloat16, 1, geometry.BlockCount, 16, Heads));
        _cache = new KvCache(_blocks, ElementType.BFloat16, 1, geometry.BlockCount, 16, Heads);
        var rows = plan.TokenCount;
        _arena = new ActivationArena(
            ActivationArena.BytesFor(rows, Heads.FusedColumns) + ActivationArena.BytesFor(rows, Heads.QueryColumns));
        _fused = _arena.Carve(rows, Heads.FusedColumns);
        _output = _arena.Carve(rows, Heads.QueryColumns);
        new Span<float>(_fused.Data, rows * Heads.FusedColumns).Fill(0.01f);
        _ops = new CpuOps(new OpsShape(rows, sequences, context, 2048, 2048, 16, Heads), Environment.ProcessorCount);
        _ops.BeginStep(_batch);
    }

    /// <summary>One layer's attention.</summary>
    [Benchmark]
    public void Attend() => _ops.Attention(_batch, _fused, Heads, _cache, 0, _output);

    /// <summary>Gives the memory back.</summary>
    [GlobalCleanup]
    public void Stop()
    {
        _ops.Dispose();
        _arena.Dispose();
        _blocks.Dispose();
    }

    private static int Number(string text) => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}
