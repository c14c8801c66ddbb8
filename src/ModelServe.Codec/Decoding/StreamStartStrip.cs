namespace ModelServe.Codec.Decoding;

/// <summary>Strip behind a joining stage: removes up to so many occurrences of a character at the very beginning of the text.</summary>
internal sealed class StreamStartStrip(DecoderStage next, char content, int start) : DecoderStage(next)
{
    private int _removed;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        while (_removed < start && token.Length > 0)
        {
            if (token[0] != content)
            {
                _removed = start;
                break;
            }
            _removed++;
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
        _removed = 0;
        base.Reset();
    }
}
