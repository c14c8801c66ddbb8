using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Where one tensor of a checkpoint goes.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Rows">Its first size.</param>
/// <param name="Columns">Its second size; null for a vector.</param>
/// <param name="Offset">Where its bytes start in the weight memory.</param>
/// <param name="Type">Type it is stored as there, unless it is quantised.</param>
/// <param name="Quantized">Which rows it is of the quantised matrix at the offset; null if it is not quantised.</param>
/// <param name="Scales">Where the scales of its rows start, float32; null where they have none.</param>
internal sealed record WeightSlot(
    string Name, int Rows, int? Columns, long Offset, ElementType Type, QuantizedPlace? Quantized = null, long? Scales = null)
{
    /// <summary>Elements of the tensor.</summary>
    public long Elements => (long)Rows * (Columns ?? 1);

    /// <summary>The shape as people write it.</summary>
    public string ShapeText => Columns is { } columns ? $"[{Rows}, {columns}]" : $"[{Rows}]";

    /// <summary>Whether a stored tensor has this shape.</summary>
    public bool Fits(StoredTensor tensor) =>
        Columns is { } columns
            ? tensor.Shape.Count == 2 && tensor.Shape[0] == Rows && tensor.Shape[1] == columns
            : tensor.Shape.Count == 1 && tensor.Shape[0] == Rows;
}
