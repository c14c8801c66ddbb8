using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Tests.Cpu;

/// <summary>Unmanaged arrays and matrices for one test, freed with it.</summary>
internal sealed unsafe class NativeFloats : IDisposable
{
    private readonly List<NativeBuffer> _buffers = [];

    /// <summary>Random numbers that are neither tiny nor equal.</summary>
    public static float[] Random(Random random, long count)
    {
        var values = new float[count];
        foreach (ref var value in values.AsSpan())
        {
            value = (float)((random.NextDouble() * 2) - 1);
        }

        return values;
    }

    /// <summary>What remains of a number in a storage type.</summary>
    public static float Stored(float value, ElementType type) =>
        type == ElementType.Float32 ? value : BFloat.ToSingle(BFloat.FromSingle(value));

    /// <summary>A copy outside the managed heap.</summary>
    public float* Copy(float[] values)
    {
        var target = (float*)Take(values.Length * sizeof(float)).Pointer;
        values.CopyTo(new Span<float>(target, values.Length));
        return target;
    }

    /// <summary>An activation with the given rows.</summary>
    public Activation Activation(float[] values, int rows, int columns) => new(Copy(values), rows, columns);

    /// <summary>An activation that starts as not-a-number everywhere.</summary>
    public Activation Empty(int rows, int columns)
    {
        var values = new float[(long)rows * columns];
        Array.Fill(values, float.NaN);
        return Activation(values, rows, columns);
    }

    /// <summary>A vector of weights.</summary>
    public WeightVector Vector(float[] values) => new(Copy(values), values.Length);

    /// <summary>A weight in a storage type.</summary>
    public WeightMatrix Weight(float[] values, ElementType type, int rows, int columns, WeightVector? bias = null)
    {
        if (type == ElementType.Float32)
        {
            return new WeightMatrix(Copy(values), type, rows, columns, bias);
        }

        var target = (ushort*)Take(values.Length * sizeof(ushort)).Pointer;
        for (var i = 0; i < values.Length; i++)
        {
            target[i] = BFloat.FromSingle(values[i]);
        }

        return new WeightMatrix(target, type, rows, columns, bias);
    }

    /// <summary>A weight, quantised.</summary>
    public WeightMatrix Quantized(float[] values, QuantizedFormat format, int rows, int columns, WeightVector? bias = null)
    {
        var shape = new QuantizedShape(format, rows, columns);
        var target = Take(shape.Bytes).Pointer;
        new Span<byte>(target, (int)shape.Bytes).Clear();
        var padded = Copy(new float[shape.PaddedColumns]);
        QuantizationError error = default;
        for (var row = 0; row < rows; row++)
        {
            values.AsSpan(row * columns, columns).CopyTo(new Span<float>(padded, columns));
            if (RowQuantizer.Quantize(shape, target, row, padded, ref error) >= 0)
            {
                throw new ArgumentException("a weight is not finite", nameof(values));
            }
        }

        return new WeightMatrix(target, shape, bias);
    }

    /// <summary>A cache whose every element is not-a-number.</summary>
    public KvCache Cache(ElementType type, int layers, int blocks, AttentionShape shape)
    {
        var buffer = Take(KvCache.BytesFor(type, layers, blocks, 16, shape));
        new Span<byte>(buffer.Pointer, (int)buffer.Bytes).Fill(0xFF);
        return new KvCache(buffer, type, layers, blocks, 16, shape);
    }

    /// <inheritdoc />
    public void Dispose() => _buffers.ForEach(buffer => buffer.Dispose());

    private NativeBuffer Take(long bytes)
    {
        var buffer = new NativeBuffer(Math.Max(1, bytes));
        _buffers.Add(buffer);
        return buffer;
    }
}
