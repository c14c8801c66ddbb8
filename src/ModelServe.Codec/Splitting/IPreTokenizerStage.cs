namespace ModelServe.Codec.Splitting;

/// <summary>One pre-tokenizer of tokenizer.json. Immutable and thread-safe.</summary>
internal interface IPreTokenizerStage
{
    /// <summary>Cuts (or rewrites) every piece.</summary>
    void Apply(PieceList pieces);
}
