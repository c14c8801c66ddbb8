namespace ModelServe.Codec.Splitting;

/// <summary>ByteLevel's add_prefix_space: every piece begins with a space.</summary>
internal sealed class LeadingSpaceStage : IPreTokenizerStage
{
    /// <inheritdoc/>
    public void Apply(PieceList pieces) => pieces.Rewrite(static (list, piece, output) =>
    {
        ReadOnlySpan<char> chars = list.Chars(piece);
        if (chars[0] != ' ')
        {
            output.Append(' ');
        }
        output.Append(chars);
    });
}
