namespace ModelServe.Codec.Decoding;

/// <summary>The decoders of a tokenizer in order; makes the stages for one stream. Immutable and thread-safe.</summary>
/// <param name="stages">From first to last: makes the stage that hands on to the given one.</param>
internal sealed class DecoderPlan(IReadOnlyList<Func<DecoderStage, DecoderStage>> stages)
{
    /// <summary>Whether the only decoder is ByteLevel: each token is its bytes, wherever it stands.</summary>
    public bool IsByteLevel { get; init; }

    /// <summary>Whether tokens of the form <c>&lt;0xNN&gt;</c> are bytes.</summary>
    public bool HasByteFallback { get; init; }

    /// <summary>Fresh stages that end in a sink.</summary>
    public DecoderStage Build(TextSink sink)
    {
        DecoderStage stage = sink;
        for (int index = stages.Count - 1; index >= 0; index--)
        {
            stage = stages[index](stage);
        }
        return stage;
    }
}
