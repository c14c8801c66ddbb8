using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>A step plan together with whose rows it holds, from planning until the result is settled.</summary>
/// <remarks>
/// Block rows are copied into the plan only as far as they grew since this plan last carried the same run; a row is
/// append-only while a run lasts. Nothing is allocated after construction. Thread: engine thread only.
/// </remarks>
internal sealed class PlannedStep
{
    private readonly Sequence?[] _sequences;
    private readonly long[] _runs;
    private readonly int[] _ends;
    private readonly long[] _slotRuns;
    private readonly int[] _slotBlocks;

    /// <summary>Makes an empty step.</summary>
    public PlannedStep(ExecutorGeometry geometry)
    {
        Plan = new StepPlan(geometry);
        _sequences = new Sequence?[geometry.MaxSequences];
        _runs = new long[geometry.MaxSequences];
        _ends = new int[geometry.MaxSequences];
        _slotRuns = new long[geometry.MaxSequences];
        _slotBlocks = new int[geometry.MaxSequences];
    }

    /// <summary>What the executor sees.</summary>
    public StepPlan Plan { get; }

    /// <summary>Monotonic timestamp of its submission.</summary>
    public long SubmittedAt { get; set; }

    /// <summary>Starts the step of that number.</summary>
    public void Begin(long stepId)
    {
        Plan.Clear();
        Plan.StepId = stepId;
    }

    /// <summary>Adds a row that feeds the sequence's planned tokens, and moves the sequence on.</summary>
    public void Add(Sequence sequence, ReadOnlySpan<int> blocks)
    {
        var row = Plan.SequenceCount++;
        var start = Plan.TokenCount;
        var count = sequence.Planned;
        Plan.Slots[row] = sequence.Slot;
        Plan.FirstPositions[row] = sequence.Computed;
        var fed = Plan.TokenIds.AsSpan(start, count);
        var known = Math.Clamp(sequence.Known - sequence.Computed, 0, count);
        sequence.Output.CopyTokens(sequence.Computed, fed[..known]);
        fed[known..].Fill(StepPlan.LastSampledToken);
        Plan.TokenCount = Plan.TokenStarts[row + 1] = start + count;
        CopyBlocks(sequence, blocks);
        if (sequence.EntersSlot)
        {
            sequence.EntersSlot = false;
            Plan.NewSlots[Plan.NewSlotCount++] = new SlotAssignment(
                sequence.Slot, sequence.Request.Sampling, sequence.Output.Tokens, sequence.PromptLength, sequence.Request.MaxTokens > 0);
        }

        if (sequence.Output.Scoring is { } scoring)
        {
            AddScored(sequence, scoring, start);
        }

        Plan.ScoredStarts[row + 1] = Plan.ScoredCount;
        sequence.Computed += count;
        sequence.LastStep = Plan.StepId;
        Plan.Samples[row] = sequence.Pending == 0 && sequence.Request.MaxTokens > 0;
        sequence.Placeholders += Plan.Samples[row] ? 1 : 0;
        _sequences[row] = sequence;
        _runs[row] = sequence.Run;
        _ends[row] = sequence.Computed;
    }

    /// <summary>Takes the sequence out of a row once its result is here; the row is then empty.</summary>
    /// <param name="row">The row.</param>
    /// <param name="end">Positions computed when the step is settled.</param>
    /// <returns>The sequence, or null when it has ended or lost its slot since: the result is stale.</returns>
    public Sequence? Take(int row, out int end)
    {
        var sequence = _sequences[row];
        _sequences[row] = null;
        end = _ends[row];
        return sequence is not null && sequence.Run == _runs[row] ? sequence : null;
    }

    private void AddScored(Sequence sequence, PromptScoring scoring, int start)
    {
        var count = scoring.Wanted(sequence.Computed, sequence.Computed + sequence.Planned, out var from);
        if (count == 0)
        {
            return;
        }

        for (var i = 0; i < count; i++)
        {
            Plan.ScoredTokens[Plan.ScoredCount + i] = start + from - sequence.Computed + i;
        }

        sequence.Output.CopyTokens(from + 1, Plan.ScoredTargets.AsSpan(Plan.ScoredCount, count));
        Plan.ScoredCount += count;
    }

    private void CopyBlocks(Sequence sequence, ReadOnlySpan<int> blocks)
    {
        var slot = sequence.Slot;
        var copied = _slotRuns[slot] == sequence.Run ? _slotBlocks[slot] : 0;
        if (copied < blocks.Length)
        {
            blocks[copied..].CopyTo(Plan.BlockTables.AsSpan((slot * Plan.BlockTableStride) + copied));
        }

        _slotRuns[slot] = sequence.Run;
        _slotBlocks[slot] = blocks.Length;
    }
}
