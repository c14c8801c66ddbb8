namespace ModelServe.Codec.Added;

/// <summary>A stretch of text that is one added token, or text between two of them.</summary>
/// <param name="Id">The token; -1 for text in between.</param>
/// <param name="Start">First char.</param>
/// <param name="End">One past the last char.</param>
internal readonly record struct AddedTokenMatch(int Id, int Start, int End);
