namespace ModelServe.Codec.Decoding;

/// <summary>Metaspace: the marker is a space, and nothing in the first token if encoding put one there unasked.</summary>
internal sealed class MetaspaceDecoder(DecoderStage next, char marker, bool dropsInFirst) : DecoderStage(next)
{
    private readonly CharBuffer _text = new();
    private bool _started;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        bool drops = dropsInFirst && !_started;
        _started = true;
        _text.Clear();
        foreach (char value in token)
        {
            if (value != marker)
            {
                _text.Add(value);
            }
            else if (!drops)
            {
                _text.Add(' ');
            }
        }
        Next.Push(_text.Written);
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _started = false;
        base.Reset();
    }
}
