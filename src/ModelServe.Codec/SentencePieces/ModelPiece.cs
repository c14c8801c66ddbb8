namespace ModelServe.Codec.SentencePieces;

/// <summary>One piece of a SentencePiece model; its index is its id.</summary>
/// <param name="Text">With U+2581 for a space.</param>
/// <param name="Score">Log probability, or for BPE minus the rank.</param>
/// <param name="Kind">What it is.</param>
internal readonly record struct ModelPiece(string Text, float Score, PieceKind Kind);
