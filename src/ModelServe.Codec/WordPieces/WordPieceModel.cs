using System.Buffers;
using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.WordPieces;

/// <summary>
/// A WordPiece model: the longest token that the word begins with, then the longest continuation, and so on; a word that cannot
/// be covered, or that is too long, is one unknown token. Immutable; thread-safe.
/// </summary>
/// <param name="vocabulary">The tokens.</param>
/// <param name="options">The unknown token.</param>
/// <param name="prefix">What a continuation begins with in the vocabulary, usually <c>##</c>.</param>
/// <param name="longestWord">Most code points of a word that is looked at.</param>
internal sealed class WordPieceModel(BpeVocabulary vocabulary, BpeOptions options, string prefix, int longestWord) : ITokenModel
{
    /// <inheritdoc/>
    public BpeVocabulary Vocabulary => vocabulary;

    /// <inheritdoc/>
    public BpeOptions Options => options;

    /// <inheritdoc/>
    public string ContinuationPrefix => prefix;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> piece, IdBuffer output)
    {
        int most = Math.Min(piece.Length, longestWord * 2);
        int[] ids = ArrayPool<int>.Shared.Rent(most + 1);
        int count = IsTooLong(piece) ? 0 : Cover(piece, ids);
        if (count > 0)
        {
            output.Add(ids.AsSpan(0, count));
        }
        else
        {
            output.Add(options.UnknownId);
        }
        ArrayPool<int>.Shared.Return(ids);
    }

    private bool IsTooLong(ReadOnlySpan<char> piece)
    {
        if (piece.Length <= longestWord)
        {
            return false;
        }
        int count = 0;
        foreach (Rune _ in piece.EnumerateRunes())
        {
            count++;
        }
        return count > longestWord;
    }

    /// <summary>The tokens of a word; 0 where it cannot be covered.</summary>
    private int Cover(ReadOnlySpan<char> piece, int[] ids)
    {
        char[] buffer = ArrayPool<char>.Shared.Rent(prefix.Length + vocabulary.LongestToken);
        prefix.CopyTo(buffer);
        int count = 0;
        int start = 0;
        while (start < piece.Length)
        {
            int end = Longest(piece, start, buffer, out int id);
            if (end < 0)
            {
                count = 0;
                break;
            }
            ids[count++] = id;
            start = end;
        }
        ArrayPool<char>.Shared.Return(buffer);
        return count;
    }

    private int Longest(ReadOnlySpan<char> piece, int start, char[] buffer, out int id)
    {
        int shown = start > 0 ? prefix.Length : 0;
        int end = Math.Min(piece.Length, start + Math.Max(0, vocabulary.LongestToken - shown));
        piece[start..end].CopyTo(buffer.AsSpan(prefix.Length));
        for (; end > start; end--)
        {
            bool isInsideRune = end < piece.Length && char.IsLowSurrogate(piece[end]);
            if (!isInsideRune && vocabulary.TryFindWhole(buffer.AsSpan(prefix.Length - shown, shown + end - start), out id))
            {
                return end;
            }
        }
        id = -1;
        return -1;
    }
}
