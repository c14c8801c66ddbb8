using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Where in a quantised matrix a tensor's rows go.</summary>
/// <param name="Shape">The matrix, which starts at the slot's offset.</param>
/// <param name="FirstRow">The row of the matrix that the tensor's first row becomes.</param>
internal readonly record struct QuantizedPlace(QuantizedShape Shape, int FirstRow);
