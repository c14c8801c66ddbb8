using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// Cuts before the space marker U+2581 wherever no merge can reach across, for models whose whole text is one word: the ids stay
/// the same and words become short enough to be remembered.
/// </summary>
internal sealed class SafeCutStage : IPreTokenizerStage
{
    private const char Marker = '\u2581';

    private readonly HashSet<char> _joined;

    private SafeCutStage(HashSet<char> joined)
    {
        _joined = joined;
    }

    /// <summary>The stage for a model, or null where it would not be exact.</summary>
    /// <param name="vocabulary">The tokens.</param>
    /// <param name="mergeResults">The texts of all tokens that merges make.</param>
    /// <param name="options">The model's settings.</param>
    public static SafeCutStage? For(BpeVocabulary vocabulary, IEnumerable<string> mergeResults, BpeOptions options)
    {
        // Without its own token the marker would fuse with unknown neighbours; a model that takes whole words must see them whole.
        if (options.ByteLevel || options.IgnoreMerges || vocabulary.Find(Marker.ToString()) < 0)
        {
            return null;
        }
        HashSet<char> joined = [];
        foreach (string result in mergeResults)
        {
            for (int index = 1; index < result.Length; index++)
            {
                if (result[index] == Marker)
                {
                    joined.Add(result[index - 1]);
                }
            }
        }
        return new SafeCutStage(joined);
    }

    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        for (int index = 0; index < pieces.Count; index++)
        {
            Piece whole = pieces[index];
            ReadOnlySpan<char> chars = pieces.Chars(whole);
            int start = 0;
            for (int position = 1; position < chars.Length; position++)
            {
                int found = chars[position..].IndexOf(Marker);
                if (found < 0)
                {
                    break;
                }
                position += found;
                if (!_joined.Contains(chars[position - 1]))
                {
                    pieces.Emit(whole, whole.Start + start, whole.Start + position);
                    start = position;
                }
            }
            pieces.Emit(whole, whole.Start + start, whole.Start + chars.Length);
        }
        pieces.EndStage();
    }
}
