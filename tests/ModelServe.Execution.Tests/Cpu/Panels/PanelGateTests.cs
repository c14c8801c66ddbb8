using CsCheck;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Panels;

/// <summary>Gated products in one piece, against the product and the gates one after the other.</summary>
public sealed unsafe class PanelGateTests
{
    private static readonly Gen<(int Panels, int Pairs, int Count, bool Bias, bool Pending, int Threads, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 100], Gen.Int[1, 70], Gen.Bool, Gen.Bool, Gen.Int[1, 3], Gen.Int[0, 1 << 20]);

    [Fact]
    public void Any_shape_agrees_with_the_parts() =>
        Cases.Sample(c => Agrees(16 * c.Panels, 2 * c.Pairs, c.Count, c.Bias, c.Pending, c.Threads, c.Seed), iter: 150, threads: 1);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(29)]
    public void Columns_beyond_one_pass_agree(int count) => Agrees(48, 4096 + 70, count, withBias: true, withPending: true, threads: 2, seed: 3);

    [Fact]
    public void Gates_that_do_not_fill_panels_agree() => Agrees(40, 64, 9, withBias: true, withPending: false, threads: 2, seed: 3);

    [Fact]
    public void A_row_s_result_does_not_depend_on_the_rows_beside_it_or_on_threads()
    {
        const int Features = 528, Columns = 256, Most = 70;
        using var bench = new Bench(Features, Columns, Most, withBias: false, threads: 3, seed: 5);
        var expected = bench.Memory.Empty(Most, Features);
        bench.Fused(Most, expected);
        for (var count = 1; count < Most; count++)
        {
            var y = bench.Memory.Empty(Most, Features);
            bench.Fused(count, y);
            for (var row = 0; row < count; row++)
            {
                Assert.True(expected.Row(row).SequenceEqual(y.Row(row)), $"row {row} of {count}");
            }

            Assert.True(float.IsNaN(y.Row(count)[0]), $"row {count} was written");
        }
    }

    [Fact]
    public void Extreme_gates_are_closed_or_open_and_never_undefined()
    {
        const int Features = 16;
        using var bench = new Bench(Features, 2, 1, withBias: true, threads: 1, seed: 1);
        float[] gates = [-3e38f, -200f, -104f, -88f, 0f, 88f, 104f, 200f, 3e38f, float.NegativeInfinity, float.PositiveInfinity, float.NaN, 1f, -1f, 2f, -2f];
        var y = bench.Memory.Empty(1, Features);
        bench.Fused(1, y, [.. gates, .. Enumerable.Repeat(1f, Features)]);
        for (var i = 0; i < Features; i++)
        {
            double gate = gates[i];
            var expected = gate == double.NegativeInfinity ? double.NaN : gate / (1 + Math.Exp(-gate));
            if (double.IsNaN(expected))
            {
                Assert.True(float.IsNaN(y.Row(0)[i]), $"{gate}");
            }
            else if (gate != double.PositiveInfinity)
            {
                Assert.Equal(expected, y.Row(0)[i], (1e-6 * Math.Abs(expected)) + 1e-36);
            }
            else
            {
                Assert.Equal(float.PositiveInfinity, y.Row(0)[i]);
            }
        }
    }

    private static void Agrees(int features, int columns, int count, bool withBias, bool withPending, int threads, int seed)
    {
        using var bench = new Bench(features, columns, count, withBias, threads, seed);
        var expected = bench.Memory.Empty(count, features);
        var actual = bench.Memory.Empty(count, features);
        bench.InParts(count, expected, withPending);
        bench.Fused(count, actual, withPending: withPending);
        for (var row = 0; row < count; row++)
        {
            for (var i = 0; i < features; i++)
            {
                Assert.Equal(expected.Row(row)[i], actual.Row(row)[i], (1e-6f * MathF.Abs(expected.Row(row)[i])) + 1e-30f);
            }
        }
    }

    private sealed class Bench : IDisposable
    {
        private readonly CpuOps _ops;
        private readonly WeightMatrix _weight;
        private readonly float[] _x;
        private readonly float[] _delta;
        private readonly WeightVector _gain;
        private readonly int _columns;

        public Bench(int features, int columns, int most, bool withBias, int threads, int seed)
        {
            Assert.SkipUnless(
                NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");
            var random = new Random(seed);
            _columns = columns;
            _ops = new CpuOps(
                new OpsShape(most, most, 16, columns, features, 16, new AttentionShape(1, 1, 16, 1f, 0)), threads, NativeCpuFeatures.Avx512BFloat16);
            _x = NativeFloats.Random(random, (long)most * columns);
            _delta = NativeFloats.Random(random, (long)most * columns);
            _gain = Memory.Vector(NativeFloats.Random(random, columns));
            var bias = withBias ? Memory.Vector(NativeFloats.Random(random, 2 * features)) : null;
            _weight = Memory.Weight(NativeFloats.Random(random, 2L * features * columns), ElementType.BFloat16, 2 * features, columns, bias);
            _ops.Adopt(_weight);
        }

        public NativeFloats Memory { get; } = new();

        public void InParts(int rows, Activation output, bool withPending = false)
        {
            var gateUp = Memory.Empty(rows, _weight.Rows);
            var residual = Memory.Activation(_x, rows, _columns);
            var pending = withPending ? Memory.Activation(_delta, rows, _columns) : null;
            _ops.NormLinear(residual, pending, _gain, 1e-5f, Memory.Empty(rows, _columns), _weight, gateUp, rows);
            _ops.GatedActivation(gateUp, output, rows);
        }

        public void Fused(int rows, Activation output, float[]? bias = null, bool withPending = false)
        {
            if (bias is not null)
            {
                // With a gain of nothing, the bias is all there is.
                bias.CopyTo(new Span<float>(_weight.Bias!.Data, bias.Length));
                new Span<float>(_gain.Data, _columns).Clear();
            }

            _ops.NormGated(
                Memory.Activation(_x, _x.Length / _columns, _columns),
                withPending ? Memory.Activation(_delta, _x.Length / _columns, _columns) : null,
                _gain,
                1e-5f,
                Memory.Empty(rows, _columns),
                _weight,
                Memory.Empty(rows, _weight.Rows),
                output,
                rows);
        }

        public void Dispose()
        {
            _ops.Dispose();
            Memory.Dispose();
        }
    }
}
