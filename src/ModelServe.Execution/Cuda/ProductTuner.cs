using System.Diagnostics;
using System.Globalization;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Measures, before a model serves, which kernels make each of its products fastest for each number of rows.</summary>
/// <remarks>
/// The products run with the model's own weights, layer after layer so that caches do not answer, over the activations' memory filled
/// with rows of the embedding table. An algorithm of the cache is run once before it is believed. Thread: that of the loading.
/// </remarks>
internal sealed unsafe class ProductTuner : IDisposable
{
    private const int Warm = 2;
    private const int Runs = 10;
    private readonly CudaOps _ops;
    private readonly KernelStream _stream;
    private readonly OpsShape _shape;
    private readonly byte* _arena;
    private readonly long _arenaBytes;
    private readonly TuningCache? _cache;
    private readonly KernelEvent _start;
    private readonly KernelEvent _end;
    private int _measured;
    private int _known;

    /// <summary>A tuner over parts that outlive it.</summary>
    /// <param name="ops">The operations.</param>
    /// <param name="device">The device.</param>
    /// <param name="stream">Their stream.</param>
    /// <param name="shape">The largest sizes.</param>
    /// <param name="arena">The activations' memory, in which nothing of worth lies yet.</param>
    /// <param name="arenaBytes">Its bytes.</param>
    /// <param name="cache">What is known and where it is kept; null for neither.</param>
    public ProductTuner(
        CudaOps ops, KernelDevice device, KernelStream stream, OpsShape shape, byte* arena, long arenaBytes, TuningCache? cache)
    {
        (_ops, _stream, _shape, _arenaBytes, _cache) = (ops, stream, shape, arenaBytes, cache);
        _arena = arena;
        _start = new KernelEvent(device, timing: true);
        _end = new KernelEvent(device, timing: true);
    }

    /// <summary>Chooses for every product of a model.</summary>
    /// <returns>What was done, in a sentence.</returns>
    /// <exception cref="KernelException">A product runs in no form.</exception>
    public string Tune(DecoderWeights weights)
    {
        var watch = Stopwatch.StartNew();
        Fill(weights.Embedding);
        _ops.CountAll();
        Tune(ProductRole.Normed, ElementType.BFloat16, weights, layer => layer.Qkv, _shape.MaxRows);
        Tune(ProductRole.Added, ElementType.BFloat16, weights, layer => layer.Output, _shape.MaxRows);
        Tune(ProductRole.Gated, ElementType.BFloat16, weights, layer => layer.GateUp, _shape.MaxRows);
        Tune(ProductRole.Added, ElementType.BFloat16, weights, layer => layer.Down, _shape.MaxRows);
        Tune(ProductRole.Normed, ElementType.Float32, weights, _ => weights.Head, _shape.MaxSequences);
        _stream.Synchronize();
        if (_measured > 0)
        {
            _cache?.Save();
        }

        return string.Create(
            CultureInfo.InvariantCulture, $"products: {_measured} measured, {_known} known, in {watch.Elapsed.TotalSeconds:0.00} s");
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _start.Dispose();
        _end.Dispose();
    }

    private void Tune(ProductRole role, ElementType result, DecoderWeights weights, Func<DecoderLayer, WeightMatrix> weightOf, int maxRows)
    {
        var products = weights.Layers.Select(layer => new Product(role, result, weightOf(layer), layer.InputNorm)).ToArray();
        var shape = DeviceProducts.ShapeOf(products[0].Weight, role, result);
        for (var bucket = 0; bucket <= ProductShape.Bucket(maxRows); bucket++)
        {
            var rows = Math.Min(ProductShape.RowsOf(bucket), maxRows);
            if (_cache?.Find(shape, bucket) is { } kept && IsAccepted(kept, shape, bucket, products[0], rows))
            {
                _known++;
                continue;
            }

            var best = Measure(shape, bucket, products, rows);
            _ops.Products.Set(shape, bucket, best);
            _cache?.Put(shape, bucket, best);
            _measured++;
        }
    }

    private ProductChoice Measure(ProductShape shape, int bucket, Product[] products, int rows)
    {
        ProductChoice? best = null;
        foreach (var form in _ops.Products.Forms(shape, bucket))
        {
            var choice = form == ProductForm.Wide ? TuneWide(shape, products[0], rows) : new ProductChoice(form);
            if (choice is not null && Try(choice, shape, bucket, products, rows) is { } microseconds && !(microseconds >= best?.Microseconds))
            {
                best = choice with { Microseconds = microseconds };
            }
        }

        return best ?? throw new KernelException(KernelStatus.Unsupported, $"{shape} of {rows} rows runs in no form");
    }

    /// <summary>The fastest algorithm; null where cuBLASLt has none for these types.</summary>
    private ProductChoice? TuneWide(ProductShape shape, Product product, int rows)
    {
        try
        {
            return _ops.Products.Tune(
                new ProductOperands
                {
                    Input = _arena,
                    Output = _arena + Align((long)rows * shape.Columns * sizeof(ushort)),
                    Result = shape.Result,
                    Rows = rows,
                    IsAdded = shape.Role == ProductRole.Added,
                },
                product.Weight);
        }
        catch (KernelException exception) when (exception.Status is KernelStatus.CublasFailed or KernelStatus.Unsupported)
        {
            return null;
        }
    }

    private bool IsAccepted(ProductChoice choice, ProductShape shape, int bucket, Product product, int rows)
    {
        if (!_ops.Products.Forms(shape, bucket).Contains(choice.Form))
        {
            return false;
        }

        _ops.Products.Set(shape, bucket, choice);
        try
        {
            Run(product, rows);
            return ReferenceEquals(_ops.Products.Choose(shape, rows), choice);
        }
        catch (KernelException exception) when (exception.Status is KernelStatus.CublasFailed or KernelStatus.Unsupported)
        {
            return false;
        }
    }

    /// <summary>Microseconds of a product so made; null if it does not run.</summary>
    private float? Try(ProductChoice choice, ProductShape shape, int bucket, Product[] products, int rows)
    {
        if (!IsAccepted(choice, shape, bucket, products[0], rows))
        {
            return null;
        }

        for (var i = 0; i < Warm; i++)
        {
            Run(products[i % products.Length], rows);
        }

        _start.Record(_stream);
        for (var i = 0; i < Runs; i++)
        {
            Run(products[i % products.Length], rows);
        }

        _end.Record(_stream);
        _end.Synchronize();
        return _start.MillisecondsTo(_end) * 1000 / Runs;
    }

    private void Run(Product product, int rows)
    {
        var at = 0L;
        Activation Carve(int columns, ElementType type = ElementType.BFloat16)
        {
            var activation = new Activation((float*)(_arena + at), rows, columns, type);
            at += Align((long)rows * columns * type.Bytes());
            return at <= _arenaBytes ? activation : throw new InvalidOperationException($"the activations have {_arenaBytes} bytes, the products need {at}");
        }

        var (weight, features) = (product.Weight, product.Weight.Rows);
        var input = Carve(weight.Columns);
        switch (product.Role)
        {
            case ProductRole.Gated:
                _ops.NormGated(input, null, product.Gain, 1e-5f, Carve(weight.Columns), weight, Carve(features), Carve(features / 2), rows);
                break;
            case ProductRole.Added:
                _ops.LinearInto(input, weight, Carve(features), input, rows);
                break;
            default:
                _ops.NormLinear(input, null, product.Gain, 1e-5f, Carve(weight.Columns), weight, Carve(features, product.Result), rows);
                break;
        }
    }

    /// <summary>Numbers like those of a model: equal ones would cost less power, and so less time, than a model's.</summary>
    private void Fill(WeightMatrix table)
    {
        for (var at = 0L; at < _arenaBytes; at += table.Bytes)
        {
            _stream.Copy(_arena + at, table.Data, Math.Min(table.Bytes, _arenaBytes - at));
        }
    }

    private static long Align(long bytes) => (bytes + 255) / 256 * 256;

    private readonly record struct Product(ProductRole Role, ElementType Result, WeightMatrix Weight, WeightVector Gain);
}
