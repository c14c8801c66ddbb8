namespace ModelServe.Execution.Operations;

/// <summary>A float32 vector of weights: a norm's gain or a bias. Widened at load, because it is small and read by every row.</summary>
/// <remarks>A view: the loaded model owns the bytes. Starts at a multiple of 64 bytes. Immutable after loading.</remarks>
internal sealed unsafe class WeightVector
{
    /// <summary>A view of <paramref name="length"/> floats at <paramref name="data"/>.</summary>
    public WeightVector(float* data, int length)
    {
        Data = data;
        Length = length;
    }

    /// <summary>The first element.</summary>
    public float* Data { get; }

    /// <summary>Elements.</summary>
    public int Length { get; }

    /// <summary>All elements.</summary>
    public ReadOnlySpan<float> Span => new(Data, Length);
}
