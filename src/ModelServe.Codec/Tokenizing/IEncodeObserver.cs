namespace ModelServe.Codec.Tokenizing;

/// <summary>Follows an encoding piece by piece.</summary>
internal interface IEncodeObserver
{
    /// <summary>A piece of text became ids.</summary>
    void Piece(ReadOnlySpan<char> piece, ReadOnlySpan<int> ids);

    /// <summary>A stretch of text was one added token.</summary>
    void Added(ReadOnlySpan<char> text, int id);
}
