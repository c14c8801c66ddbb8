using ModelServe.Engine.Running;

namespace ModelServe.Execution.Operations;

/// <summary>One step as the operations read it: resolved token ids, their positions and cache slots. Filled again for every step.</summary>
/// <remarks>
/// Sequences of any mix lie after each other: a prefill chunk feeds many tokens, a decode feeds one, and both attend through
/// their block rows to everything before. Token t of sequence s has position <c>FirstPositions[s] + t - TokenStarts[s]</c>.
/// Arrays are the batch's own (or the plan's) and may be longer than their valid part. Filled by the engine thread, read by the
/// threads of one operation.
/// </remarks>
internal sealed class StepBatch
{
    private readonly int _blockTokens;

    /// <summary>A batch for at most the geometry's sequences and tokens.</summary>
    public StepBatch(ExecutorGeometry geometry)
    {
        _blockTokens = geometry.BlockTokens;
        TokenIds = new int[geometry.MaxBatchedTokens];
        Positions = new int[geometry.MaxBatchedTokens];
        CacheSlots = new int[geometry.MaxBatchedTokens];
        TokenStarts = new int[geometry.MaxSequences + 1];
        FirstPositions = new int[geometry.MaxSequences];
        BlockRows = new int[geometry.MaxSequences];
        SampledTokens = new int[geometry.MaxSequences];
        BlockTables = [];
    }

    /// <summary>Tokens in this step, over all sequences: the rows in use of every per-token activation.</summary>
    public int TokenCount { get; private set; }

    /// <summary>Sequences in this step.</summary>
    public int SequenceCount { get; private set; }

    /// <summary>Rows that get logits.</summary>
    public int SampledCount { get; private set; }

    /// <summary>Prompt tokens that get logits too, a tile at a time.</summary>
    public int ScoredCount { get; private set; }

    /// <summary>[token] the id, in [0, vocabulary).</summary>
    public int[] TokenIds { get; }

    /// <summary>[token] its position in its sequence.</summary>
    public int[] Positions { get; }

    /// <summary>[token] where its key and value go: <c>block * blockTokens + offset</c>.</summary>
    public int[] CacheSlots { get; }

    /// <summary>[sequence + 1] where each sequence's tokens start.</summary>
    public int[] TokenStarts { get; }

    /// <summary>[sequence] position of its first token, which equals the tokens that the cache already holds.</summary>
    public int[] FirstPositions { get; }

    /// <summary>[sequence] where its row starts in <see cref="BlockTables"/>.</summary>
    public int[] BlockRows { get; }

    /// <summary>[BlockRows[sequence] + i] the block of positions [i * blockTokens, (i + 1) * blockTokens).</summary>
    public int[] BlockTables { get; private set; }

    /// <summary>[sampled row] the token whose logits are wanted, ascending.</summary>
    public int[] SampledTokens { get; }

    /// <summary>[scored] the token, ascending.</summary>
    public int[] ScoredTokens { get; private set; } = [];

    /// <summary>Tokens that the sequence has once this step is computed: the length of its longest context.</summary>
    public int ContextLength(int sequence) =>
        FirstPositions[sequence] + TokenStarts[sequence + 1] - TokenStarts[sequence];

    /// <summary>Sets the counts alone, for operations that read everything else on their device: the most that a captured step may hold.</summary>
    public void SetBounds(int tokens, int sequences, int sampled, int scored = 0)
    {
        ScoredCount = scored;
        TokenCount = tokens;
        SequenceCount = sequences;
        SampledCount = sampled;
    }

    /// <summary>Takes over a plan. <paramref name="lastSampled"/> is [slot] the id that stands for <see cref="StepPlan.LastSampledToken"/>.</summary>
    public void Fill(StepPlan plan, ReadOnlySpan<int> lastSampled)
    {
        TokenCount = plan.TokenCount;
        SequenceCount = plan.SequenceCount;
        SampledCount = 0;
        BlockTables = plan.BlockTables;
        ScoredCount = plan.ScoredCount;
        ScoredTokens = plan.ScoredTokens;
        TokenStarts[0] = 0;
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            var slot = plan.Slots[sequence];
            var start = plan.TokenStarts[sequence];
            var end = plan.TokenStarts[sequence + 1];
            var first = plan.FirstPositions[sequence];
            var row = slot * plan.BlockTableStride;
            TokenStarts[sequence + 1] = end;
            FirstPositions[sequence] = first;
            BlockRows[sequence] = row;
            for (var token = start; token < end; token++)
            {
                var position = first + token - start;
                var id = plan.TokenIds[token];
                TokenIds[token] = id == StepPlan.LastSampledToken ? lastSampled[slot] : id;
                Positions[token] = position;
                CacheSlots[token] = (BlockTables[row + (position / _blockTokens)] * _blockTokens) + (position % _blockTokens);
            }

            if (plan.Samples[sequence])
            {
                SampledTokens[SampledCount++] = end - 1;
            }
        }
    }
}
