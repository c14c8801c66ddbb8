namespace ModelServe.Engine.Running;

/// <summary>Everything one step of the model needs, in flat arrays that are filled again for every step.</summary>
/// <remarks>
/// A step advances <see cref="SequenceCount"/> sequences. Sequence i occupies the stable slot <c>Slots[i]</c> for as long as
/// it runs, feeds tokens <c>[TokenStarts[i], TokenStarts[i + 1])</c> of <see cref="TokenIds"/> at positions starting at
/// <c>FirstPositions[i]</c>, and attends to all earlier positions through its row of <see cref="BlockTables"/>.
/// Prefill, chunked prefill and decode differ only in how many tokens a sequence feeds.
/// Thread: filled by the engine thread; read by the executor until the step is collected; then filled again.
/// An executor of depth 2 therefore works on two plans that the engine alternates.
/// </remarks>
public sealed class StepPlan
{
    /// <summary>In <see cref="TokenIds"/>: use the token last sampled for this slot, which the host may not know yet.</summary>
    public const int LastSampledToken = -1;

    /// <summary>Makes a plan for at most that many sequences and tokens.</summary>
    public StepPlan(ExecutorGeometry geometry)
    {
        Slots = new int[geometry.MaxSequences];
        TokenStarts = new int[geometry.MaxSequences + 1];
        FirstPositions = new int[geometry.MaxSequences];
        Samples = new bool[geometry.MaxSequences];
        TokenIds = new int[geometry.MaxBatchedTokens];
        BlockTables = new int[geometry.MaxSequences * geometry.MaxBlocksPerSequence];
        BlockTableStride = geometry.MaxBlocksPerSequence;
        NewSlots = new SlotAssignment[geometry.MaxSequences];
        ScoredStarts = new int[geometry.MaxSequences + 1];
        ScoredTokens = new int[geometry.MaxBatchedTokens];
        ScoredTargets = new int[geometry.MaxBatchedTokens];
    }

    /// <summary>Number of this step, from 1 upward; comes back in the result.</summary>
    public long StepId { get; set; }

    /// <summary>Sequences in this step.</summary>
    public int SequenceCount { get; set; }

    /// <summary>Tokens in this step, over all sequences.</summary>
    public int TokenCount { get; set; }

    /// <summary>[sequence] the slot in [0, MaxSequences).</summary>
    public int[] Slots { get; }

    /// <summary>[sequence + 1] where each sequence's tokens start.</summary>
    public int[] TokenStarts { get; }

    /// <summary>[sequence] position of the first token fed, which equals the tokens computed before.</summary>
    public int[] FirstPositions { get; }

    /// <summary>[sequence] whether the last token's logits are sampled; false for a chunk that is not the prompt's last, or if nothing is to be generated.</summary>
    public bool[] Samples { get; }

    /// <summary>[token] the id, or <see cref="LastSampledToken"/>.</summary>
    public int[] TokenIds { get; }

    /// <summary>[slot * stride + i] block of positions [i * blockTokens, (i + 1) * blockTokens). Only rows of this step's slots are valid.</summary>
    public int[] BlockTables { get; }

    /// <summary>Length of one row of <see cref="BlockTables"/>.</summary>
    public int BlockTableStride { get; }

    /// <summary>Sequences that got a slot in this step; the executor (re)sets the slot's sampling state from each.</summary>
    public SlotAssignment[] NewSlots { get; }

    /// <summary>Valid entries of <see cref="NewSlots"/>.</summary>
    public int NewSlotCount { get; set; }

    /// <summary>Prompt tokens of this step at which the probability of the token behind is wanted; 0 in most steps.</summary>
    public int ScoredCount { get; set; }

    /// <summary>[sequence + 1] where each sequence's part of <see cref="ScoredTokens"/> starts.</summary>
    public int[] ScoredStarts { get; }

    /// <summary>[scored] place in <see cref="TokenIds"/>; ascending.</summary>
    public int[] ScoredTokens { get; }

    /// <summary>[scored] id of the token behind it, which this step need not feed.</summary>
    public int[] ScoredTargets { get; }

    /// <summary>The blocks of one slot, as many as its row holds; the caller knows from the positions how many are valid.</summary>
    public ReadOnlySpan<int> BlockTable(int slot) => BlockTables.AsSpan(slot * BlockTableStride, BlockTableStride);

    /// <summary>Empties the plan for the next step; block tables and arrays keep their memory.</summary>
    public void Clear()
    {
        Array.Clear(NewSlots, 0, NewSlotCount);
        SequenceCount = 0;
        TokenCount = 0;
        NewSlotCount = 0;
        ScoredCount = 0;
        TokenStarts[0] = 0;
    }
}
