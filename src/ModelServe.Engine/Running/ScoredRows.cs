namespace ModelServe.Engine.Running;

/// <summary>What a step says of prompt tokens: entry i belongs to entry i of <see cref="StepPlan.ScoredTokens"/>.</summary>
/// <remarks>Part of a <see cref="StepResult"/>, made by the first step that scores; flat and reused.</remarks>
public sealed class ScoredRows
{
    /// <summary>Makes room for as many rows as a step may feed tokens.</summary>
    public ScoredRows(ExecutorGeometry geometry)
    {
        TopStride = Math.Min(geometry.MaxTopLogprobs, geometry.VocabularySize);
        Logprobs = new float[geometry.MaxBatchedTokens];
        Ranks = new int[geometry.MaxBatchedTokens];
        TopTokenIds = new int[geometry.MaxBatchedTokens * TopStride];
        TopLogprobs = new float[geometry.MaxBatchedTokens * TopStride];
    }

    /// <summary>[row] natural-log probability of the target under the unmodified logits; not-a-number where those were not finite, which fails the sequence.</summary>
    public float[] Logprobs { get; }

    /// <summary>[row] how many tokens are likelier than the target, and one; of equal ones the lower id counts as likelier.</summary>
    public int[] Ranks { get; }

    /// <summary>Row length of <see cref="TopTokenIds"/> and <see cref="TopLogprobs"/>, and the most alternatives that there are.</summary>
    public int TopStride { get; }

    /// <summary>[row * stride + rank] the most likely tokens, best first; as many as the sequence asks for.</summary>
    public int[] TopTokenIds { get; }

    /// <summary>[row * stride + rank] their natural-log probabilities.</summary>
    public float[] TopLogprobs { get; }
}
