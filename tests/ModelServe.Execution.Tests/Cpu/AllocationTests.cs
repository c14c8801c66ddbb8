using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Cpu.Attention;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu;

/// <summary>A step of the vector code leaves nothing for the collector.</summary>
public sealed unsafe class AllocationTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public void The_operations_of_a_layer_allocate_nothing(int tokens)
    {
        const int Hidden = 1024;
        var shape = new AttentionShape(8, 2, 64, 0.1f, 0);
        using var memory = new NativeFloats();
        var paged = new PagedBatch(shape, ElementType.BFloat16, 1, (100, tokens));
        using var ops = new CpuOps(paged.OpsShape with { HiddenSize = Hidden, IntermediateSize = Hidden }, 2);
        var cache = paged.Cache(memory);
        var weight = memory.Weight(new float[2 * Hidden * Hidden], ElementType.BFloat16, 2 * Hidden, Hidden);
        ops.Adopt(weight);
        var hidden = memory.Empty(tokens, Hidden);
        var gateUp = memory.Empty(tokens, 2 * Hidden);
        var fused = paged.Fused(memory);
        var attended = memory.Empty(tokens, shape.QueryColumns);
        var gain = memory.Vector(new float[Hidden]);
        var rotary = new RotaryTable(memory.Copy(new float[200 * 32]), memory.Copy(new float[200 * 32]), 200, 32);
        // The runtime itself allocates now and then while it compiles a method again; what a layer allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Layer();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        void Layer()
        {
            ops.BeginStep(paged.Batch);
            ops.Embed(paged.Batch, weight, hidden);
            ops.AddNorm(hidden, hidden, gain, 1e-5f, hidden, tokens);
            ops.RotateAndStore(paged.Batch, fused, shape, null, null, 1e-5f, rotary, cache, 0);
            ops.Attention(paged.Batch, fused, shape, cache, 0, attended);
            ops.Linear(hidden, weight, gateUp, tokens);
            ops.GatedActivation(gateUp, hidden, tokens);
        }
    }
}
