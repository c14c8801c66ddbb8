using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Models;

/// <summary>The weights of one decoder layer.</summary>
/// <param name="InputNorm">Gain before the attention, [hidden].</param>
/// <param name="Qkv">[queries | keys | values, hidden].</param>
/// <param name="QueryNorm">Gain of each query head, [headDim]; null where the model has none.</param>
/// <param name="KeyNorm">Gain of each key head, [headDim]; null where the model has none.</param>
/// <param name="Output">[hidden, queries].</param>
/// <param name="PostNorm">Gain before the feed-forward part, [hidden].</param>
/// <param name="GateUp">[gate | up, hidden].</param>
/// <param name="Down">[hidden, intermediate].</param>
internal sealed record DecoderLayer(
    WeightVector InputNorm,
    WeightMatrix Qkv,
    WeightVector? QueryNorm,
    WeightVector? KeyNorm,
    WeightMatrix Output,
    WeightVector PostNorm,
    WeightMatrix GateUp,
    WeightMatrix Down);
