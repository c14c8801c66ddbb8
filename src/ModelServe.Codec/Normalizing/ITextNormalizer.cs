namespace ModelServe.Codec.Normalizing;

/// <summary>One normalizer of tokenizer.json. Immutable and thread-safe.</summary>
internal interface ITextNormalizer
{
    /// <summary>The normalized text; the same object where nothing changes.</summary>
    /// <param name="text">Text without lone surrogates.</param>
    string Normalize(string text);
}
