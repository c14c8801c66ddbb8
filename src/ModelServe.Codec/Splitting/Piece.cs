namespace ModelServe.Codec.Splitting;

/// <summary>A range of the text under pre-tokenization.</summary>
/// <param name="Start">First char.</param>
/// <param name="Length">Chars, &gt; 0.</param>
/// <param name="IsFirst">Whether the piece begins where the whole input began.</param>
internal readonly record struct Piece(int Start, int Length, bool IsFirst);
