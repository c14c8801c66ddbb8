using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Benchmarks;

/// <summary>Paged attention of one layer, native beside C#, for each way in which keys and values are stored.</summary>
internal static unsafe class AttentionTable
{
    private static readonly ElementType[] Types = [ElementType.BFloat16, ElementType.Int8, ElementType.Float32];

    private static readonly (int QueryHeads, int Heads, int HeadDim)[] Shapes = [(12, 4, 64), (32, 8, 64), (32, 8, 128), (8, 1, 128)];

    // Sequences, tokens that each feeds, and tokens that each has.
    private static readonly (int Sequences, int Tokens, int Context)[] Steps =
        [(1, 1, 256), (1, 1, 8192), (8, 1, 256), (32, 1, 256), (16, 1, 1024), (1, 512, 512), (1, 512, 4096)];

    /// <summary>Prints microseconds, and gigabytes of keys and values per second or GFLOP/s, best of so many rounds.</summary>
    public static void Print(TextWriter output, int rounds, int threads)
    {
        output.WriteLine($"{threads} thread(s), best of {rounds}: microseconds (GB/s of keys and values, GFLOP/s)");
        output.WriteLine("| heads | step | bf16 native | bf16 C# | int8 native | int8 C# | f32 C# |");
        output.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var heads in Shapes)
        {
            var shape = new AttentionShape(heads.QueryHeads, heads.Heads, heads.HeadDim, 0.125f, 0);
            foreach (var step in Steps)
            {
                List<string> cells = [];
                foreach (var type in Types)
                {
                    if (type != ElementType.Float32)
                    {
                        cells.Add(Cell(shape, step, type, NativeCpu.Load(), rounds, threads));
                    }

                    cells.Add(Cell(shape, step, type, NativeCpuFeatures.None, rounds, threads));
                }

                output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {heads.QueryHeads}/{heads.Heads} x {heads.HeadDim} | {step.Sequences} x {step.Tokens} of {step.Context} | {string.Join(" | ", cells)} |"));
            }
        }
    }

    private static string Cell(
        AttentionShape shape, (int Sequences, int Tokens, int Context) step, ElementType type, NativeCpuFeatures native, int rounds, int threads)
    {
        var geometry = new ExecutorGeometry(
            16, step.Context, 16, (step.Sequences * ((step.Context + 15) / 16)) + 1, step.Sequences, step.Sequences * step.Tokens);
        var batch = Batch(geometry, step);
        var layerBytes = KvCache.BytesFor(type, 1, geometry.BlockCount, 16, shape);

        // Each round reads another layer, so that no cache holds it.
        var layers = (int)Math.Clamp((64L << 20) / layerBytes, 1, 16);
        using var blocks = DramBandwidth.Filled(layerBytes * layers);
        var cache = new KvCache(blocks, type, layers, geometry.BlockCount, 16, shape);
        var rows = batch.TokenCount;
        using var arena = new ActivationArena(
            ActivationArena.BytesFor(rows, shape.FusedColumns) + ActivationArena.BytesFor(rows, shape.QueryColumns));
        var fused = arena.Carve(rows, shape.FusedColumns);
        var output = arena.Carve(rows, shape.QueryColumns);
        new Span<float>(fused.Data, rows * shape.FusedColumns).Fill(0.01f);
        using var ops = new CpuOps(
            new OpsShape(rows, step.Sequences, step.Context, shape.QueryColumns, shape.QueryColumns, 16, shape), threads, native);
        ops.BeginStep(batch);
        var best = double.MaxValue;
        for (var round = 0; round < rounds + 3; round++)
        {
            var start = Stopwatch.GetTimestamp();
            ops.Attention(batch, fused, shape, cache, round % layers, output);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        var scores = (double)step.Sequences * step.Tokens * (step.Context - ((step.Tokens - 1) / 2.0));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{best * 1e6:0} ({layerBytes / best / 1e9:0.0}, {scores * 4 * shape.QueryColumns / best / 1e9:0})");
    }

    private static StepBatch Batch(ExecutorGeometry geometry, (int Sequences, int Tokens, int Context) step)
    {
        var plan = new StepPlan(geometry) { StepId = 1, SequenceCount = step.Sequences, TokenCount = step.Sequences * step.Tokens };
        for (var sequence = 0; sequence < step.Sequences; sequence++)
        {
            plan.Slots[sequence] = sequence;
            plan.TokenStarts[sequence + 1] = (sequence + 1) * step.Tokens;
            plan.FirstPositions[sequence] = step.Context - step.Tokens;
            for (var i = 0; i < plan.BlockTableStride; i++)
            {
                plan.BlockTables[(sequence * plan.BlockTableStride) + i] = 1 + (i * step.Sequences) + sequence;
            }
        }

        var batch = new StepBatch(geometry);
        batch.Fill(plan, new int[step.Sequences]);
        return batch;
    }
}
