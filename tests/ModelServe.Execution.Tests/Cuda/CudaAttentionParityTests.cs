using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>The GPU's rotation, paged store and attention, on the stub, against TorchSharp's: every head size, both caches.</summary>
public sealed class CudaAttentionParityTests(StubLibrary stub)
{
    // Contexts that end in, at and after the end of a block; the second step mixes single tokens with chunks.
    private static readonly (int First, int Count)[] Prompts = [(0, 1), (0, 15), (0, 16), (0, 17), (0, 40)];
    private static readonly (int First, int Count)[] Next = [(1, 1), (15, 1), (16, 1), (17, 5), (40, 19)];

    public static TheoryData<ElementType, int, int, int, int, bool> Shapes()
    {
        var data = new TheoryData<ElementType, int, int, int, int, bool>();
        foreach (var type in new[] { ElementType.BFloat16, ElementType.Float8 })
        {
            data.Add(type, 3, 3, 32, 0, false);
            data.Add(type, 4, 2, 64, 0, true);
            data.Add(type, 5, 1, 80, 9, false);
            data.Add(type, 6, 2, 96, 0, true);
            data.Add(type, 8, 1, 128, 17, true);
            data.Add(type, 2, 2, 192, 0, false);
            data.Add(type, 7, 1, 256, 1, false);
            data.Add(type, 16, 1, 64, 0, false);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Queries_and_attention_over_what_both_stored(ElementType type, int heads, int kvHeads, int headDim, int window, bool normed)
    {
        stub.SkipIfMissing();
        var shape = new AttentionShape(heads, kvHeads, headDim, 1f / MathF.Sqrt(headDim), window);
        using var bench = new CudaParityBench(shape, type);
        var (queryGain, deviceQueryGain) = normed ? bench.Vector(headDim) : default;
        var (keyGain, deviceKeyGain) = normed ? bench.Vector(headDim) : default;
        foreach (var sequences in new[] { Prompts, Next })
        {
            bench.Begin(sequences);
            var tokens = bench.Batch.TokenCount;
            var (fused, deviceFused) = bench.Random(96, shape.FusedColumns);
            bench.Torch.RotateAndStore(bench.Batch, fused, shape, queryGain, keyGain, 1e-6f, bench.Rotary, bench.HostCache, 1);
            bench.Cuda.RotateAndStore(bench.Batch, deviceFused, shape, deviceQueryGain, deviceKeyGain, 1e-6f, bench.Rotary, bench.HostCache, 1);
            CudaParityBench.AssertClose(fused, deviceFused, tokens, 4e-3, columns: shape.QueryColumns, mayContinue: true);
            var (expected, actual) = bench.Empty(96, shape.QueryColumns);
            bench.Torch.Attention(bench.Batch, fused, shape, bench.HostCache, 1, expected);
            bench.Cuda.Attention(bench.Batch, deviceFused, shape, bench.HostCache, 1, actual);
            CudaParityBench.AssertClose(expected, actual, tokens, type == ElementType.Float8 ? 6e-2 : 1e-2);
        }
    }
}
