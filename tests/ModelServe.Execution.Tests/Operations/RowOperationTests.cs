using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Operations;

/// <summary>Operations on rows against their definitions in plain loops.</summary>
public sealed class RowOperationTests
{
    public static TheoryData<TestedOps> Kinds() => OpsKinds.Data();

    public static TheoryData<TestedOps, ElementType, bool, int> Linears()
    {
        var data = new TheoryData<TestedOps, ElementType, bool, int>();
        foreach (var kind in OpsKinds.All)
        {
            foreach (var rows in new[] { 1, 2, 3, 4, 5, 8, 9, 17, 64 })
            {
                data.Add(kind, ElementType.Float32, rows % 2 == 0, rows);
                data.Add(kind, ElementType.BFloat16, rows % 2 == 1, rows);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Embed_copies_the_rows_of_the_tokens(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        foreach (var type in OpsKinds.StoredTypes)
        {
            var table = bench.Matrix(type, 199, 64);
            var batch = bench.Batch((0, 5), (3, 1));
            var output = bench.Random(64, 64);
            bench.Ops.Embed(batch, table, output);
            for (var t = 0; t < 6; t++)
            {
                for (var d = 0; d < 64; d++)
                {
                    Assert.Equal(bench.Element(table, batch.TokenIds[t], d), output.Row(t)[d]);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Norm_divides_by_the_root_of_the_mean_square(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        var x = bench.Random(7, 64);
        var gain = bench.Vector(64);
        var output = bench.Random(7, 64);
        var untouched = output.Row(6).ToArray();
        bench.Ops.Norm(x, gain, 1e-2f, output, 6);
        for (var row = 0; row < 6; row++)
        {
            AssertNorm(x.Row(row).ToArray(), gain, 1e-2, output.Row(row).ToArray());
        }

        Assert.Equal(untouched, output.Row(6).ToArray());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void AddNorm_adds_to_the_residual_first(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        var residual = bench.Random(3, 64);
        var delta = bench.Random(3, 64);
        var gain = bench.Vector(64);
        var output = bench.Random(3, 64);
        var sums = Enumerable.Range(0, 3)
            .Select(row => residual.Row(row).ToArray().Zip(delta.Row(row).ToArray(), (a, b) => a + b).ToArray())
            .ToArray();
        bench.Ops.AddNorm(residual, delta, gain, 1e-6f, output, 3);
        for (var row = 0; row < 3; row++)
        {
            Assert.Equal(sums[row], residual.Row(row).ToArray());
            AssertNorm(sums[row], gain, 1e-6, output.Row(row).ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(Linears))]
    public void Linear_is_the_product_with_each_weight_row(TestedOps kind, ElementType type, bool bias, int rows)
    {
        using var bench = new OpsBench(kind);
        var x = bench.Random(64, 96);
        var weight = bench.Matrix(type, 130, 96, bias);
        var output = bench.Random(64, 130);
        bench.Ops.Linear(x, weight, output, rows);

        // Bfloat16 weights may be multiplied with activations rounded to bfloat16.
        var tolerance = type == ElementType.Float32 ? 2e-5 : 8e-2;
        for (var row = 0; row < rows; row++)
        {
            for (var n = 0; n < 130; n++)
            {
                var expected = bias ? (double)weight.Bias!.Span[n] : 0;
                for (var k = 0; k < 96; k++)
                {
                    expected += (double)bench.Element(weight, n, k) * x.Row(row)[k];
                }

                Assert.Equal(expected, output.Row(row)[n], tolerance);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_gate_is_silu_of_the_first_half(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        var both = bench.Random(5, 192);
        both.Row(0)[0] = 90;
        both.Row(0)[1] = -90;
        var output = bench.Random(5, 96);
        bench.Ops.GatedActivation(both, output, 5);
        for (var row = 0; row < 5; row++)
        {
            for (var i = 0; i < 96; i++)
            {
                double gate = both.Row(row)[i];
                Assert.Equal(gate / (1 + Math.Exp(-gate)) * both.Row(row)[96 + i], output.Row(row)[i], 1e-5);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Only_sampled_rows_are_gathered(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        var batch = bench.Batch((0, 5), (3, 1), (8, 2));
        Assert.Equal(2, batch.SampledCount);
        var residual = bench.Random(64, 64);
        var delta = bench.Random(64, 64);
        var output = bench.Random(8, 64);
        bench.Ops.GatherSampled(batch, residual, delta, output);
        foreach (var (row, token) in new[] { (0, 4), (1, 7) })
        {
            for (var d = 0; d < 64; d++)
            {
                Assert.Equal(residual.Row(token)[d] + delta.Row(token)[d], output.Row(row)[d]);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Scored_rows_are_gathered_a_tile_at_a_time(TestedOps kind)
    {
        using var bench = new OpsBench(kind);
        var batch = bench.Batch((0, 5), (3, 1), (8, 2));
        batch.SetBounds(batch.TokenCount, batch.SequenceCount, batch.SampledCount, scored: 4);
        new[] { 0, 1, 3, 6 }.CopyTo(batch.ScoredTokens, 0);
        var (residual, delta, output) = (bench.Random(64, 64), bench.Random(64, 64), bench.Random(8, 64));
        bench.Ops.GatherScored(batch, 1, residual, delta, output, 2);
        foreach (var (row, token) in new[] { (0, 1), (1, 3) })
        {
            for (var d = 0; d < 64; d++)
            {
                Assert.Equal(residual.Row(token)[d] + delta.Row(token)[d], output.Row(row)[d]);
            }
        }
    }

    private static void AssertNorm(float[] x, WeightVector gain, double epsilon, float[] actual)
    {
        var scale = 1 / Math.Sqrt((x.Sum(value => (double)value * value) / x.Length) + epsilon);
        for (var i = 0; i < x.Length; i++)
        {
            Assert.Equal(x[i] * scale * gain.Span[i], actual[i], 1e-5);
        }
    }
}
