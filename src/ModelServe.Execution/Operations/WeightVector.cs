namespace ModelServe.Execution.Operations;

/// <summary>A vector of weights: a norm's gain or a bias. Float32, widened at load, because it is small and read by every row; bfloat16 on a GPU.</summary>
/// <remarks>A view: the loaded model owns the bytes. Starts at a multiple of 64 bytes. Immutable after loading.</remarks>
internal sealed unsafe class WeightVector
{
    /// <summary>A view of <paramref name="length"/> floats at <paramref name="data"/>.</summary>
    public WeightVector(float* data, int length, ElementType type = ElementType.Float32)
    {
        Type = type;
        Data = data;
        Length = length;
    }

    /// <summary>The first element.</summary>
    public float* Data { get; private set; }

    /// <summary>How the elements are stored; where not as float32, only the operations of that device read them.</summary>
    public ElementType Type { get; }

    /// <summary>Elements.</summary>
    public int Length { get; }

    /// <summary>All elements.</summary>
    public ReadOnlySpan<float> Span => new(Data, Length);

    /// <summary>Bytes of the vector.</summary>
    public long Bytes => (long)Length * Type.Bytes();

    /// <summary>Moves the bytes towards the start of the memory that they lie in; before anything but this view knows where they are.</summary>
    public void MoveTo(void* place)
    {
        Buffer.MemoryCopy(Data, place, Bytes, Bytes);
        Data = (float*)place;
    }
}
