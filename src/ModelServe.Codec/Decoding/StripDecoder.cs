namespace ModelServe.Codec.Decoding;

/// <summary>Strip: removes up to so many leading and trailing occurrences of a character from each token.</summary>
internal sealed class StripDecoder(DecoderStage next, char content, int start, int stop) : DecoderStage(next)
{
    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        int from = 0;
        while (from < Math.Min(start, token.Length) && token[from] == content)
        {
            from++;
        }
        int to = token.Length;
        while (to > from && token.Length - to < stop && token[to - 1] == content)
        {
            to--;
        }
        Next.Push(token[from..to]);
    }
}
