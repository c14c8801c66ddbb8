namespace ModelServe.Codec.Merging;

/// <summary>What turns one pre-token into ids: BPE, Unigram or WordPiece. Immutable but for a bounded cache; thread-safe.</summary>
internal interface ITokenModel
{
    /// <summary>The tokens.</summary>
    BpeVocabulary Vocabulary { get; }

    /// <summary>How the model treats bytes and unknown text; merging itself concerns BPE only.</summary>
    BpeOptions Options { get; }

    /// <summary>What stands before a token that continues a word and is no part of its text; usually empty.</summary>
    string ContinuationPrefix { get; }

    /// <summary>Appends the ids of a piece.</summary>
    /// <param name="piece">Not empty, without lone surrogates.</param>
    /// <param name="output">Where the ids go.</param>
    void Encode(ReadOnlySpan<char> piece, IdBuffer output);
}
