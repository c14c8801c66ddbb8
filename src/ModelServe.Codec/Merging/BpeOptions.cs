namespace ModelServe.Codec.Merging;

/// <summary>The settings of a BPE model, as tokenizer.json names them.</summary>
/// <param name="ByteLevel">Whether symbols are UTF-8 bytes written in the byte alphabet instead of code points.</param>
/// <param name="IgnoreMerges">Whether a word that is a token as a whole is taken without merging.</param>
/// <param name="ByteFallback">Whether an unknown code point becomes its bytes as <c>&lt;0xNN&gt;</c> tokens.</param>
/// <param name="FuseUnknown">Whether adjacent unknown symbols become one unknown token.</param>
/// <param name="UnknownId">The unknown token, or -1: unknown symbols vanish.</param>
internal sealed record BpeOptions(bool ByteLevel, bool IgnoreMerges, bool ByteFallback, bool FuseUnknown, int UnknownId);
