using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>Writes spaces as a visible marker and, if asked to, cuts before each.</summary>
/// <param name="marker">The marker, usually U+2581.</param>
/// <param name="scheme">Where a marker is added in front.</param>
/// <param name="split">Whether each marker begins a piece.</param>
internal sealed class MetaspaceStage(char marker, PrependScheme scheme, bool split) : IPreTokenizerStage
{
    private readonly LiteralStage _cut = new(marker.ToString(), SplitBehavior.MergedWithNext, invert: false);

    /// <inheritdoc/>
    public void Apply(PieceList pieces)
    {
        pieces.Rewrite(Mark);
        if (split)
        {
            _cut.Apply(pieces);
        }
    }

    private void Mark(PieceList pieces, Piece piece, StringBuilder output)
    {
        ReadOnlySpan<char> chars = pieces.Chars(piece);
        bool marked = chars[0] == ' ' || chars[0] == marker;
        if (!marked && (scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.IsFirst)))
        {
            output.Append(marker);
        }
        int start = output.Length;
        output.Append(chars);
        output.Replace(' ', marker, start, chars.Length);
    }
}
