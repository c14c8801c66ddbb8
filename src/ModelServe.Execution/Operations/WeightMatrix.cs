using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Operations;

/// <summary>A weight [output features, input features], contiguous and, as a checkpoint stores it, row-major, with an optional bias.</summary>
/// <remarks>
/// Projections that read the same input are one matrix: query, key, value rows after each other; gate rows, then up rows.
/// A view: the loaded model owns the bytes. Starts at a multiple of 64 bytes. Immutable after loading, of which the operations' adopting it is a part.
/// </remarks>
internal sealed unsafe class WeightMatrix
{
    /// <summary>A view of the matrix at <paramref name="data"/>.</summary>
    public WeightMatrix(void* data, ElementType type, int rows, int columns, WeightVector? bias = null)
    {
        Data = data;
        Type = type;
        Rows = rows;
        Columns = columns;
        Bias = bias;
    }

    /// <summary>A view of the quantised matrix at <paramref name="data"/>.</summary>
    public WeightMatrix(void* data, QuantizedShape shape, WeightVector? bias = null)
        : this(data, ElementType.Float32, shape.Rows, shape.Columns, bias)
    {
        Quantized = shape;
        Layout = WeightLayout.Quantized;
    }

    /// <summary>A view of the matrix of <see cref="ElementType.Float8"/> at <paramref name="data"/>, whose row r stands for its elements times <paramref name="scales"/>[r].</summary>
    public WeightMatrix(void* data, float* scales, int rows, int columns, WeightVector? bias = null)
        : this(data, ElementType.Float8, rows, columns, bias)
    {
        Scales = scales;
    }

    /// <summary>The first element, of <see cref="Type"/>; where <see cref="Layout"/> is row-major, row r starts <c>r * Columns</c> elements later.</summary>
    public void* Data { get; private set; }

    /// <summary>How the elements are stored; of a quantised matrix, what they become.</summary>
    public ElementType Type { get; }

    /// <summary>How the numbers of a quantised matrix lie; null for any other.</summary>
    public QuantizedShape? Quantized { get; }

    /// <summary>[Rows] what the elements of each row are multiplied by, where they are of <see cref="ElementType.Float8"/>; else null.</summary>
    public float* Scales { get; }

    /// <summary>Output features (for an embedding: the vocabulary).</summary>
    public int Rows { get; }

    /// <summary>Input features (for an embedding: the hidden size).</summary>
    public int Columns { get; }

    /// <summary>Added to each output row, [Rows]; null for none.</summary>
    public WeightVector? Bias { get; }

    /// <summary>Bytes of the matrix, without its bias.</summary>
    public long Bytes => NarrowBytes ?? Quantized?.Bytes ?? ((long)Rows * Columns * Type.Bytes());

    /// <summary>Lines of 64 bytes at the head of each of <see cref="WeightLayout.NarrowPanels"/>; else 0.</summary>
    public int HeadLines { get; private set; }

    /// <summary>In which order the elements lie; changed only by operations that rearrange them in <see cref="IOps.Adopt"/>.</summary>
    public WeightLayout Layout { get; set; }

    /// <summary>What the operations keep beside this weight (a view for a library, say); theirs alone, set in <see cref="IOps.Adopt"/>.</summary>
    public object? Companion { get; set; }

    private long? NarrowBytes { get; set; }

    /// <summary>Notes that the operations have made narrow panels of it where it lies, in <see cref="IOps.Adopt"/>.</summary>
    public void BecomeNarrow(int headLines, long bytes)
    {
        Layout = WeightLayout.NarrowPanels;
        HeadLines = headLines;
        NarrowBytes = bytes;
    }

    /// <summary>Moves the bytes towards the start of the memory that they lie in; before anything but this view knows where they are.</summary>
    public void MoveTo(void* place)
    {
        Buffer.MemoryCopy(Data, place, Bytes, Bytes);
        Data = place;
    }
}
