namespace ModelServe.Codec.Splitting;

/// <summary>Where Metaspace puts its marker although no space stands there; names as in tokenizer.json.</summary>
internal enum PrependScheme
{
    /// <summary>Before every piece.</summary>
    Always,

    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Only at the beginning of the input.</summary>
    First,
}
