using ModelServe.Codec.Merging;

namespace ModelServe.Codec.SentencePieces;

/// <summary>A model whose user-defined pieces are taken as they are; everything else goes to the model inside.</summary>
internal sealed class UserSymbolModel(ITokenModel inner, UserSymbols symbols) : ITokenModel
{
    /// <inheritdoc/>
    public BpeVocabulary Vocabulary => inner.Vocabulary;

    /// <inheritdoc/>
    public BpeOptions Options => inner.Options;

    /// <inheritdoc/>
    public string ContinuationPrefix => inner.ContinuationPrefix;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> piece, IdBuffer output)
    {
        if (symbols.Match(piece, out int id) == piece.Length)
        {
            output.Add(id);
        }
        else
        {
            inner.Encode(piece, output);
        }
    }
}
