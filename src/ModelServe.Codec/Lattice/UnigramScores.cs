namespace ModelServe.Codec.Lattice;

/// <summary>What a Unigram model weighs its tokens by.</summary>
/// <param name="ById">Log probability of each id; ids are the indexes.</param>
/// <param name="Segments">Whether an id takes part in segmentation; control tokens are left out in any case.</param>
/// <param name="Unknown">Log probability of a character that is no token.</param>
/// <param name="SinglePrecision">Whether sums are rounded to 32 bits, as the SentencePiece library does.</param>
internal sealed record UnigramScores(double[] ById, bool[] Segments, double Unknown, bool SinglePrecision)
{
    /// <summary>How much less likely than the least likely token an unknown character is.</summary>
    public const double UnknownPenalty = 10;
}
