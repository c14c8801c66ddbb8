using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>Where each array of a step lies in the one run of bytes that goes to the device for it.</summary>
/// <remarks>
/// A layout, not the bytes: the same offsets hold in the pinned copy and on the device, so one transfer a step brings everything.
/// Decode steps have a layout for each graph, made for its most rows; steps that feed chunks share one, made for the most of
/// everything, of which only <see cref="UsedBytes"/> travel. Offsets are in bytes; arrays are int32 but for the rules.
/// </remarks>
internal sealed unsafe class StepImage
{
    /// <summary>[0] rows, [1] tokens, [2] block table changes, [3] sampled rows, [4] work items, [5] tokens of a chunk, [6] query tiles.</summary>
    public const int Counters = 8;

    /// <summary>A layout for at most the given numbers.</summary>
    /// <param name="rows">Sequences.</param>
    /// <param name="tokens">Tokens fed.</param>
    /// <param name="deltas">Changes of block tables.</param>
    /// <param name="items">Work items of decode attention.</param>
    /// <param name="tiles">Query tiles; 0 for a step of single tokens, whose starts and sampled rows are the row numbers themselves.</param>
    public StepImage(int rows, int tokens, int deltas, int items, int tiles)
    {
        (Rows, Tokens, Deltas, Items, Tiles) = (rows, tokens, deltas, items, tiles);
        Rules = Counters * sizeof(int);
        Slots = Rules + (rows * sizeof(SampleRow));
        FirstPositions = After(Slots, rows);
        DeltaSlots = After(FirstPositions, rows);
        DeltaIndices = After(DeltaSlots, deltas);
        DeltaBlocks = After(DeltaIndices, deltas);
        WorkStarts = After(DeltaBlocks, deltas);
        WorkRows = After(WorkStarts, rows + 1);
        WorkChunks = After(WorkRows, items);
        TokenStarts = After(WorkChunks, items);
        var mixed = tiles > 0;
        SampledTokens = After(TokenStarts, mixed ? rows + 1 : 0);
        TileRows = After(SampledTokens, mixed ? rows : 0);
        TileStarts = After(TileRows, tiles);
        InputIds = After(TileStarts, tiles);
        Bytes = After(InputIds, tokens);
    }

    /// <summary>Most rows.</summary>
    public int Rows { get; }

    /// <summary>Most tokens.</summary>
    public int Tokens { get; }

    /// <summary>Most block table changes.</summary>
    public int Deltas { get; }

    /// <summary>Most work items.</summary>
    public int Items { get; }

    /// <summary>Most tiles.</summary>
    public int Tiles { get; }

    /// <summary>[sampled row] <see cref="SampleRow"/>.</summary>
    public int Rules { get; }

    /// <summary>[row] slot.</summary>
    public int Slots { get; }

    /// <summary>[row] position of the first token fed.</summary>
    public int FirstPositions { get; }

    /// <summary>[change] slot.</summary>
    public int DeltaSlots { get; }

    /// <summary>[change] place in the slot's block table.</summary>
    public int DeltaIndices { get; }

    /// <summary>[change] block.</summary>
    public int DeltaBlocks { get; }

    /// <summary>[row + 1] first work item's partial result.</summary>
    public int WorkStarts { get; }

    /// <summary>[item] row.</summary>
    public int WorkRows { get; }

    /// <summary>[item] chunk.</summary>
    public int WorkChunks { get; }

    /// <summary>[row + 1] first token; in mixed layouts only.</summary>
    public int TokenStarts { get; }

    /// <summary>[sampled row] its token; in mixed layouts only.</summary>
    public int SampledTokens { get; }

    /// <summary>[tile] row; in mixed layouts only.</summary>
    public int TileRows { get; }

    /// <summary>[tile] first query token within its row; in mixed layouts only.</summary>
    public int TileStarts { get; }

    /// <summary>[token] id, or −1 for the one last sampled.</summary>
    public int InputIds { get; }

    /// <summary>Bytes of the whole image.</summary>
    public int Bytes { get; }

    /// <summary>Bytes that a step of that many tokens needs: the ids come last, so that the unused ones stay behind.</summary>
    public int UsedBytes(int tokens) => InputIds + (tokens * sizeof(int));

    private static int After(int start, int count) => checked(start + (count * sizeof(int)));
}
