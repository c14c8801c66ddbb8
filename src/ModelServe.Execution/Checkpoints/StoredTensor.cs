namespace ModelServe.Execution.Checkpoints;

/// <summary>One tensor of a safetensors file, as its header declares it; checked against the file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Its sizes, outermost first; empty for a scalar.</param>
/// <param name="Offset">Where its bytes start in the file.</param>
/// <param name="Bytes">How many bytes it has: the product of shape and element size.</param>
internal sealed record StoredTensor(string Name, StoredType Type, IReadOnlyList<long> Shape, long Offset, long Bytes)
{
    /// <summary>The shape as people write it.</summary>
    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}
