namespace ModelServe.Codec.Decoding;

/// <summary>The decoders of a tokenizer in order; makes the stages for one stream. Immutable and thread-safe.</summary>
/// <param name="stages">From first to last: makes the stage that hands on to the given one.</param>
internal sealed class DecoderPlan(IReadOnlyList<Func<DecoderStage, DecoderStage>> stages)
{
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
