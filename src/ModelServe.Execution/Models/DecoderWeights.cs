using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Models;

/// <summary>All weights of a decoder, as views of the loaded model's memory.</summary>
/// <param name="Embedding">[vocabulary, hidden].</param>
/// <param name="Layers">In the order of their application.</param>
/// <param name="FinalNorm">Gain before the head, [hidden].</param>
/// <param name="Head">[vocabulary, hidden]; the embedding itself where tied.</param>
internal sealed record DecoderWeights(
    WeightMatrix Embedding,
    IReadOnlyList<DecoderLayer> Layers,
    WeightVector FinalNorm,
    WeightMatrix Head)
{
    /// <summary>Every matrix once.</summary>
    public IEnumerable<WeightMatrix> Matrices =>
        new[] { Embedding, Head }
            .Concat(Layers.SelectMany(layer => new[] { layer.Qkv, layer.Output, layer.GateUp, layer.Down }))
            .Distinct();

    /// <summary>Every vector, also the biases of the matrices.</summary>
    public IEnumerable<WeightVector> Vectors =>
        Layers.SelectMany(layer => new[] { layer.InputNorm, layer.QueryNorm, layer.KeyNorm, layer.PostNorm })
            .Append(FinalNorm)
            .Concat(Matrices.Select(matrix => matrix.Bias))
            .OfType<WeightVector>();
}
