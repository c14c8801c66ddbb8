namespace ModelServe.Execution.Operations;

/// <summary>In which order the elements of a weight matrix lie; the first two take the same bytes.</summary>
internal enum WeightLayout
{
    /// <summary>Row after row, as a checkpoint stores it.</summary>
    RowMajor,

    /// <summary>In panels of 16 rows, each as [pair of columns, row, 2]: what the native CPU library multiplies by.</summary>
    Panels,

    /// <summary>In such panels, in 12 bits a weight and without loss: what the native CPU library makes of them, and alone reads.</summary>
    NarrowPanels,

    /// <summary>As whole numbers and scales: <see cref="Quantization.QuantizedShape"/>.</summary>
    Quantized,
}
