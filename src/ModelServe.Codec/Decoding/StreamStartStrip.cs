namespace ModelServe.Codec.Decoding;

/// <summary>Strip behind a joining stage: removes up to so many occurrences of a character at the very beginning of the text.</summary>
internal sealed class StreamStartStrip(DecoderStage next, char content, int start) : DecoderStage(next)
{
    private int _left = start;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        while (_left > 0 && token.Length > 0)
        {
            if (token[0] != content)
            {
                _left = 0;
                break;
            }
            _left--;
            token = token[1..];
        }
        if (token.Length > 0)
        {
            Next.Push(token);
        }
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _left = start;
        base.Reset();
    }
}
