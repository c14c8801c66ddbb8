namespace ModelServe.Codec.Decoding;

/// <summary>
/// One decoder of tokenizer.json at work on one stream of tokens. Gets tokens (or, behind a joining stage, parts of the one
/// joined text) and hands its own on. Allocates nothing once its buffers have grown; not thread-safe.
/// </summary>
/// <param name="next">Where the result goes; null for the last one.</param>
internal abstract class DecoderStage(DecoderStage? next)
{
    /// <summary>Whether this stage or one behind it holds text back.</summary>
    public virtual bool HoldsText => Next.HoldsText;

    /// <summary>Where the result goes.</summary>
    protected DecoderStage Next => next!;

    /// <summary>Takes the next token.</summary>
    public abstract void Push(ReadOnlySpan<char> token);

    /// <summary>Ends the stream: hands on what was held back.</summary>
    public virtual void End() => Next.End();

    /// <summary>Forgets the stream.</summary>
    public virtual void Reset() => Next.Reset();
}
