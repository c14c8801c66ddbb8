namespace ModelServe.Codec.Decoding;

/// <summary>What a tokenizer without a decoder does: tokens with a space between them.</summary>
internal sealed class SpaceJoinDecoder(DecoderStage next) : DecoderStage(next)
{
    private bool _started;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        if (_started)
        {
            Next.Push(" ");
        }
        _started = true;
        Next.Push(token);
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _started = false;
        base.Reset();
    }
}
