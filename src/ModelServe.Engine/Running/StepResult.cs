namespace ModelServe.Engine.Running;

/// <summary>What one step produced: at most one token for each of its sequences, in the plan's order.</summary>
/// <remarks>
/// Owned by the executor and valid until its next <see cref="IStepExecutor.Collect"/>. Arrays are flat and reused.
/// Entry i belongs to sequence i of the plan with the same <see cref="StepId"/>.
/// </remarks>
public sealed class StepResult
{
    /// <summary>In <see cref="TokenIds"/>: this sequence was not sampled in this step.</summary>
    public const int NoToken = -1;

    /// <summary>In <see cref="TokenIds"/>: this sequence failed; <see cref="Failures"/> says why, and the others are unharmed.</summary>
    public const int Failed = -2;

    /// <summary>
    /// In <see cref="TokenIds"/>: the token was asked for and is not chosen yet, since what decides on it was not ready and the others were
    /// not to wait. The engine feeds the sequence's last known token again; rows of later steps in flight that count on the token are void.
    /// </summary>
    public const int Postponed = -3;

    private readonly ExecutorGeometry _geometry;
    private ScoredRows? _scored;

    /// <summary>Makes a result for the given sizes.</summary>
    public StepResult(ExecutorGeometry geometry)
    {
        _geometry = geometry;
        TokenIds = new int[geometry.MaxSequences];
        Failures = new string?[geometry.MaxSequences];
        Logprobs = new float[geometry.MaxSequences];
        TopCounts = new int[geometry.MaxSequences];
        TopStride = geometry.MaxTopLogprobs;
        TopTokenIds = new int[geometry.MaxSequences * geometry.MaxTopLogprobs];
        TopLogprobs = new float[geometry.MaxSequences * geometry.MaxTopLogprobs];
    }

    /// <summary>The step this result belongs to.</summary>
    public long StepId { get; set; }

    /// <summary>Sequences in the step.</summary>
    public int SequenceCount { get; set; }

    /// <summary>[sequence] the token, <see cref="NoToken"/>, <see cref="Failed"/> or <see cref="Postponed"/>.</summary>
    public int[] TokenIds { get; }

    /// <summary>[sequence] why it failed, for its client; null where it did not, or where its logits were not finite.</summary>
    public string?[] Failures { get; }

    /// <summary>[sequence] natural-log probability of the token under the unmodified logits; valid where logprobs were asked for.</summary>
    public float[] Logprobs { get; }

    /// <summary>[sequence] how many alternatives follow; 0 where none were asked for.</summary>
    public int[] TopCounts { get; }

    /// <summary>Row length of <see cref="TopTokenIds"/> and <see cref="TopLogprobs"/>.</summary>
    public int TopStride { get; }

    /// <summary>[sequence * stride + rank] the most likely tokens, best first.</summary>
    public int[] TopTokenIds { get; }

    /// <summary>[sequence * stride + rank] their natural-log probabilities.</summary>
    public float[] TopLogprobs { get; }

    /// <summary>What the step says of prompt tokens; valid as far as the plan scores. Its memory is taken when it is first looked at.</summary>
    public ScoredRows Scored => _scored ??= new ScoredRows(_geometry);
}
