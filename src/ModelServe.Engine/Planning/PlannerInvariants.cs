using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>What must hold for slots, blocks, queues and the prefix index between any two steps.</summary>
/// <remarks>Looks at everything and allocates: for Debug builds and tests.</remarks>
internal static class PlannerInvariants
{
    /// <summary>The first thing that does not hold, or null.</summary>
    public static string? FindViolation(StepPlanner planner, ExecutorGeometry geometry) =>
        planner.Ledger.Pool.FindViolation()
        ?? FindReferenceViolation(planner, geometry)
        ?? FindRunningViolation(planner, geometry)
        ?? FindWaitingViolation(planner)
        ?? FindIndexViolation(planner, geometry);

    private static string? FindReferenceViolation(StepPlanner planner, ExecutorGeometry geometry)
    {
        var rows = new int[geometry.BlockCount];
        foreach (var sequence in planner.Running.All)
        {
            foreach (var block in planner.Ledger.Row(sequence))
            {
                rows[block]++;
            }
        }

        for (var block = 0; block < rows.Length; block++)
        {
            if (rows[block] != planner.Ledger.Pool.References(block))
            {
                return $"block {block} is in {rows[block]} rows and has {planner.Ledger.Pool.References(block)} references";
            }
        }

        return null;
    }

    private static string? FindRunningViolation(StepPlanner planner, ExecutorGeometry geometry)
    {
        var slots = new bool[geometry.MaxSequences];
        Sequence? previous = null;
        foreach (var sequence in planner.Running.All)
        {
            var wrong = sequence.Phase != SequencePhase.Running ? "is not marked running"
                : sequence.Slot < 0 || slots[sequence.Slot] ? $"shares slot {sequence.Slot}"
                : previous is not null && !previous.Precedes(sequence) ? "is out of order"
                : FindSequenceViolation(sequence, planner, geometry);
            if (wrong is not null)
            {
                return $"running request {sequence.Request.RequestId} {wrong}";
            }

            slots[sequence.Slot] = true;
            previous = sequence;
        }

        return planner.Running.Count + planner.Running.FreeSlots == geometry.MaxSequences
            ? null
            : $"{planner.Running.Count} slots taken and {planner.Running.FreeSlots} free are not {geometry.MaxSequences}";
    }

    private static string? FindSequenceViolation(Sequence sequence, StepPlanner planner, ExecutorGeometry geometry)
    {
        var writable = sequence.Computed / geometry.BlockTokens;
        var row = planner.Ledger.Row(sequence);
        return sequence.Placeholders < 0 ? $"has {sequence.Placeholders} placeholders"
            : sequence.Settled > sequence.Computed || sequence.Pending < 0
                ? $"settled {sequence.Settled}, computed {sequence.Computed} of {sequence.Known} + {sequence.Placeholders}"
            : sequence.Settled > sequence.Known ? $"settled {sequence.Settled} positions of {sequence.Known} known tokens"
            : planner.Ledger.BlocksFor(sequence.Computed) > row.Length ? $"computed {sequence.Computed} in {row.Length} blocks"
            : sequence.ChainedBlocks * geometry.BlockTokens > sequence.Settled ? "has blocks in the prefix index that are not settled"
            : sequence.Known > geometry.MaxModelLength ? $"has {sequence.Known} tokens"
            : writable < row.Length && planner.Ledger.Pool.References(row[writable]) != 1
                ? $"would write to block {row[writable]} of {planner.Ledger.Pool.References(row[writable])} references"
            : null;
    }

    private static string? FindWaitingViolation(StepPlanner planner)
    {
        foreach (var sequence in planner.Waiting.All)
        {
            if (sequence.Phase != SequencePhase.Waiting || sequence.Slot != -1 || sequence.BlockCount != 0 || sequence.Placeholders != 0)
            {
                return $"waiting request {sequence.Request.RequestId} holds slot {sequence.Slot} and {sequence.BlockCount} blocks";
            }
        }

        return planner.Waiting.IsOrdered() ? null : "the waiting queue is out of order";
    }

    private static string? FindIndexViolation(StepPlanner planner, ExecutorGeometry geometry)
    {
        if (planner.Ledger.Index is not { } index)
        {
            return null;
        }

        var entered = 0;
        for (var block = 1; block < geometry.BlockCount; block++)
        {
            var cached = planner.Ledger.Pool.IsCached(block);
            entered += cached ? 1 : 0;
            if (cached != index.Contains(block))
            {
                return $"block {block} is {(cached ? "" : "not ")}marked cached, against the prefix index";
            }
        }

        return entered == index.Count ? null : $"{entered} cached blocks, {index.Count} in the prefix index";
    }
}
