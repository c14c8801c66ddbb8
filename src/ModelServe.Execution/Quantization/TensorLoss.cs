namespace ModelServe.Execution.Quantization;

/// <summary>What a tensor lost when it was quantised.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Format">How it was stored.</param>
/// <param name="Error">The root of its squared error over the root of its squares.</param>
internal sealed record TensorLoss(string Name, QuantizedFormat Format, double Error)
{
    /// <summary>Whether that is more than <see cref="QuantizationChoice.MostError"/> allows.</summary>
    public bool IsTooLarge => Error > QuantizationChoice.MostError(Format);

    /// <summary>The next wider way to store it; null for not quantised.</summary>
    public QuantizedFormat? Wider => Format == QuantizedFormat.Int4 ? QuantizedFormat.Int8 : null;
}
