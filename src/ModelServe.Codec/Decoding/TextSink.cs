namespace ModelServe.Codec.Decoding;

/// <summary>The end of a chain of decoders: collects the text.</summary>
internal sealed class TextSink() : DecoderStage(null)
{
    /// <summary>The text since the last <see cref="CharBuffer.Clear"/>.</summary>
    public CharBuffer Text { get; } = new();

    /// <inheritdoc/>
    public override bool HoldsText => false;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token) => Text.Add(token);

    /// <inheritdoc/>
    public override void End()
    {
    }

    /// <inheritdoc/>
    public override void Reset() => Text.Clear();
}
