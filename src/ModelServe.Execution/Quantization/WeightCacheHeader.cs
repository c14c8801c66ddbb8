using System.Text.Json.Serialization;

namespace ModelServe.Execution.Quantization;

/// <summary>What a file of quantised weights says about itself.</summary>
/// <param name="Key">Its <see cref="WeightCacheKey"/>.</param>
/// <param name="Bytes">Bytes of the weight memory.</param>
/// <param name="Hashes">SHA-256 of each piece, hexadecimal.</param>
/// <param name="Kept">Tensors stored more widely than was asked for, and how: null for not quantised.</param>
/// <param name="Losses">What each quantised tensor lost.</param>
internal sealed record WeightCacheHeader(
    string Key,
    long Bytes,
    IReadOnlyList<string> Hashes,
    IReadOnlyDictionary<string, QuantizedFormat?> Kept,
    IReadOnlyList<TensorLoss> Losses)
{
    /// <summary>Where the memory starts in the file; found while reading.</summary>
    [JsonIgnore]
    public long DataStart { get; init; }
}

/// <summary>Reading and writing of <see cref="WeightCacheHeader"/>, without reflection.</summary>
[JsonSerializable(typeof(WeightCacheHeader))]
internal sealed partial class WeightCacheJson : JsonSerializerContext;
