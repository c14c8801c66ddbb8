namespace ModelServe.Codec.Tokenizing;

/// <summary>How one text is encoded.</summary>
/// <param name="ParseControl">Whether control tokens written out in the text are recognised.</param>
internal readonly record struct EncodeRules(bool ParseControl)
{
    /// <summary>Whether the normalizer runs.</summary>
    public bool Normalize { get; init; } = true;

    /// <summary>Whether the pre-tokenizer runs.</summary>
    public bool Split { get; init; } = true;
}
