namespace ModelServe.Codec.Splitting;

/// <summary>A hand-written form of one pre-tokenizer pattern that matches at every position, so that matches leave no gap.</summary>
internal interface IPieceScanner
{
    /// <summary>End (exclusive, &gt; <paramref name="start"/>) of the match that begins at <paramref name="start"/>.</summary>
    int NextEnd(ReadOnlySpan<char> text, int start);
}
