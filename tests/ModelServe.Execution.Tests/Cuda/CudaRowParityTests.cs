using ModelServe.Execution.Cuda;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Kernels;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>The GPU's operations on rows, on the stub, against TorchSharp's: every one, every type, sizes that fill nothing evenly.</summary>
public sealed class CudaRowParityTests(StubLibrary stub)
{
    private const double Rounding = 4e-3;
    private const double Quantised = 4e-2;
    private static readonly int[] RowCounts = [1, 3, 8, 9, 17, 33, 64, 65, 90];

    /// <summary>Type of the weight, rows of the weight, its columns, whether it has a bias.</summary>
    public static TheoryData<ElementType, int, int, bool> Weights => new()
    {
        { ElementType.BFloat16, 40, 96, false },
        { ElementType.BFloat16, 199, 64, true },
        { ElementType.BFloat16, 24, 40, true }, // columns that the kernel of few rows does not take
        { ElementType.BFloat16, 56, 736, false },
        { ElementType.Float8, 48, 96, true },
        { ElementType.Float8, 40, 288, false }, // rows that cuBLASLt does not take
        { ElementType.Float8, 64, 736, false },
    };

    [Theory]
    [InlineData(8)]
    [InlineData(72)]
    [InlineData(1000)]
    public void Embed(int hidden)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench(hidden: hidden);
        var (table, deviceTable) = bench.Matrix(ElementType.BFloat16, 199, hidden);
        bench.Begin((3, 1), (0, 5), (7, 2));
        var (expected, actual) = bench.Empty(96, hidden);
        bench.Torch.Embed(bench.Batch, table, expected);
        bench.Cuda.Embed(bench.Batch, deviceTable, actual);
        CudaParityBench.AssertClose(expected, actual, 8, 0);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(72)]
    [InlineData(1000)]
    [InlineData(4104)]
    public void Norm_and_AddNorm(int hidden)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench(hidden: hidden);
        bench.Cuda.CountAll();
        var (gain, deviceGain) = bench.Vector(hidden);
        var (x, deviceX) = bench.Random(5, hidden);
        var (delta, deviceDelta) = bench.Random(5, hidden);
        var (expected, actual) = bench.Empty(5, hidden);
        bench.Torch.Norm(x, gain, 1e-5f, expected, 4);
        bench.Cuda.Norm(deviceX, deviceGain, 1e-5f, actual, 4);
        CudaParityBench.AssertClose(expected, actual, 4, Rounding);

        bench.Torch.AddNorm(x, delta, gain, 1e-5f, expected, 5);
        bench.Cuda.AddNorm(deviceX, deviceDelta, deviceGain, 1e-5f, actual, 5);
        CudaParityBench.AssertClose(x, deviceX, 5, Rounding);
        CudaParityBench.AssertClose(expected, actual, 5, Rounding);
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void Linear(ElementType type, int features, int columns, bool bias)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench();
        var (weight, deviceWeight) = bench.Matrix(type, features, columns, bias);
        bench.Cuda.Prepare();
        bench.Cuda.CountAll();
        var (x, deviceX) = bench.Random(96, columns);
        foreach (var rows in RowCounts)
        {
            foreach (var result in new[] { ElementType.BFloat16, ElementType.Float32 })
            {
                if (result == ElementType.Float32 && bias)
                {
                    continue; // logits have no bias
                }

                var (expected, actual) = bench.Empty(96, features, result);
                bench.Torch.Linear(x, weight, expected, rows);
                bench.Cuda.Linear(deviceX, deviceWeight, actual, rows);
                CudaParityBench.AssertClose(expected, actual, rows, Tolerance(type, rows));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void NormLinear_with_and_without_what_is_pending(ElementType type, int features, int columns, bool bias)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench(hidden: columns);
        var (weight, deviceWeight) = bench.Matrix(type, features, columns, bias);
        var (gain, deviceGain) = bench.Vector(columns);
        bench.Cuda.Prepare();
        bench.Cuda.CountAll();
        foreach (var rows in RowCounts)
        {
            foreach (var pending in new[] { false, true })
            {
                var (residual, deviceResidual) = bench.Random(96, columns);
                var (delta, deviceDelta) = bench.Random(96, columns);
                var (normed, deviceNormed) = bench.Empty(96, columns);
                var (expected, actual) = bench.Empty(96, features);
                ((IOps)bench.Torch).NormLinear(residual, pending ? delta : null, gain, 1e-5f, normed, weight, expected, rows);
                bench.Cuda.NormLinear(deviceResidual, pending ? deviceDelta : null, deviceGain, 1e-5f, deviceNormed, deviceWeight, actual, rows);
                CudaParityBench.AssertClose(expected, actual, rows, Tolerance(type, rows) + Rounding);
                CudaParityBench.AssertClose(residual, deviceResidual, rows, Rounding, mayContinue: true);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void NormGated(ElementType type, int features, int columns, bool bias)
    {
        stub.SkipIfMissing();
        features -= features % 16;
        using var bench = new CudaParityBench(hidden: columns);
        var (weight, deviceWeight) = bench.Matrix(type, features, columns, bias);
        var (gain, deviceGain) = bench.Vector(columns);
        bench.Cuda.Prepare();
        bench.Cuda.CountAll();
        foreach (var rows in RowCounts)
        {
            var (residual, deviceResidual) = bench.Random(96, columns);
            var (normed, deviceNormed) = bench.Empty(96, columns);
            var (both, deviceBoth) = bench.Empty(96, features);
            var (expected, actual) = bench.Empty(96, features / 2);
            ((IOps)bench.Torch).NormGated(residual, null, gain, 1e-5f, normed, weight, both, expected, rows);
            bench.Cuda.NormGated(deviceResidual, null, deviceGain, 1e-5f, deviceNormed, deviceWeight, deviceBoth, actual, rows);
            CudaParityBench.AssertClose(expected, actual, rows, (2 * Tolerance(type, rows)) + Rounding);
        }
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void LinearInto_and_what_is_gathered_of_it(ElementType type, int features, int columns, bool bias)
    {
        stub.SkipIfMissing();
        features -= features % 8;
        using var bench = new CudaParityBench(hidden: features);
        var (weight, deviceWeight) = bench.Matrix(type, features, columns, bias);
        bench.Cuda.Prepare();
        foreach (var rows in RowCounts)
        {
            bench.Begin((0, rows));
            bench.Cuda.CountAll();
            var (x, deviceX) = bench.Random(96, columns);
            var (residual, deviceResidual) = bench.Random(96, features);
            var (delta, deviceDelta) = bench.Empty(96, features);
            var pending = ((IOps)bench.Torch).LinearInto(x, weight, residual, delta, rows);
            Assert.Null(bench.Cuda.LinearInto(deviceX, deviceWeight, deviceResidual, deviceDelta, rows));
            var (expected, actual) = bench.Empty(8, features);
            bench.Torch.GatherSampled(bench.Batch, residual, pending, expected);
            bench.Cuda.GatherSampled(bench.Batch, deviceResidual, null, actual);
            CudaParityBench.AssertClose(expected, actual, 1, Tolerance(type, rows));
        }
    }

    [Theory]
    [InlineData(8)]
    [InlineData(72)]
    [InlineData(520)]
    public void GatedActivation(int features)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench();
        bench.Cuda.CountAll();
        var (both, deviceBoth) = bench.Random(7, 2 * features);
        var (expected, actual) = bench.Empty(7, features);
        bench.Torch.GatedActivation(both, expected, 6);
        bench.Cuda.GatedActivation(deviceBoth, actual, 6);
        CudaParityBench.AssertClose(expected, actual, 6, Rounding);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GatherSampled(bool pending)
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench(hidden: 72);
        bench.Begin((3, 1), (0, 5), (7, 2));
        var (residual, deviceResidual) = bench.Random(96, 72);
        var (delta, deviceDelta) = bench.Random(96, 72);
        var (expected, actual) = bench.Empty(8, 72);
        bench.Torch.GatherSampled(bench.Batch, residual, pending ? delta : null, expected);
        bench.Cuda.GatherSampled(bench.Batch, deviceResidual, pending ? deviceDelta : null, actual);
        CudaParityBench.AssertClose(expected, actual, 3, pending ? Rounding : 0);
    }

    [Fact]
    public void An_algorithm_that_is_refused_for_some_rows_gives_way_to_the_library_s_own_choice()
    {
        stub.SkipIfMissing();
        using var bench = new CudaParityBench();
        var (weight, deviceWeight) = bench.Matrix(ElementType.BFloat16, 40, 96);
        bench.Cuda.Prepare();
        bench.Cuda.CountAll();
        var shape = DeviceProducts.ShapeOf(deviceWeight, ProductRole.Plain, ElementType.BFloat16);
        var bucket = ProductShape.Bucket(90);
        bench.Cuda.Products.Set(shape, bucket, new ProductChoice(ProductForm.Wide, new byte[ProductChoice.AlgorithmBytes], 5));
        var (x, deviceX) = bench.Random(96, 96);
        var (expected, actual) = bench.Empty(96, 40);
        bench.Torch.Linear(x, weight, expected, 90);
        bench.Cuda.Linear(deviceX, deviceWeight, actual, 90);
        CudaParityBench.AssertClose(expected, actual, 90, Rounding);
        Assert.Equal(new ProductChoice(ProductForm.Wide, null, 5), bench.Cuda.Products.Choose(shape, 90));
    }

    // More rows than the kernel of few rows takes are quantised as well, where the weight is.
    private static double Tolerance(ElementType type, int rows) => type == ElementType.Float8 && rows > 64 ? Quantised : Rounding;
}
