using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>Writes a plan into the pinned copy of a step's image.</summary>
/// <remarks>A pure function of plan, order and mirror but for the mirror's own count of what was sent. Allocates nothing. Thread: the engine's.</remarks>
internal sealed unsafe class StepWriter
{
    private readonly PrefillTilePlanner _tiles;
    private readonly BlockTableMirror _mirror;
    private readonly SlotSampling[] _slots;
    private readonly ExecutorGeometry _geometry;
    private readonly int[] _starts;
    private readonly int[] _firsts;
    private readonly int _window;

    /// <summary>A writer for one model's steps.</summary>
    public StepWriter(ExecutorGeometry geometry, int tileTokens, int window, BlockTableMirror mirror, SlotSampling[] slots)
    {
        _geometry = geometry;
        _window = window;
        _mirror = mirror;
        _slots = slots;
        _tiles = new PrefillTilePlanner(tileTokens, geometry.MaxSequences, geometry.MaxBatchedTokens);
        _starts = new int[geometry.MaxSequences + 1];
        _firsts = new int[geometry.MaxSequences];
    }

    /// <summary>Most tiles of any step.</summary>
    public int MaxTiles => _tiles.MaxTiles;

    /// <summary>The first token of a row of the step last written.</summary>
    public int FirstToken(int row) => _starts[row];

    /// <summary>Block table changes that the step needs.</summary>
    public int Deltas(StepPlan plan, StepOrder order)
    {
        var deltas = 0;
        for (var row = 0; row < order.Rows; row++)
        {
            deltas += _mirror.Missing(plan.Slots[order.Sequence(row)], order.Contexts[row]);
        }

        return deltas;
    }

    /// <summary>Writes as many block table changes as fit, and nothing else; for steps that need more than one image holds.</summary>
    public void WriteDeltas(StepPlan plan, StepOrder order, StepImage layout, byte* image)
    {
        new Span<int>(image, StepImage.Counters).Clear();
        ((int*)image)[2] = TakeDeltas(plan, order, layout, image);
    }

    /// <summary>Writes a step.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="order">Its order.</param>
    /// <param name="work">Planner of the layout's work items.</param>
    /// <param name="layout">The layout, which holds the step.</param>
    /// <param name="image">Where it goes.</param>
    /// <exception cref="InvalidOperationException">A token id is not of the vocabulary.</exception>
    public void Write(StepPlan plan, StepOrder order, DecodeWorkPlanner work, StepImage layout, byte* image)
    {
        var counts = (int*)image;
        counts[0] = order.Rows;
        counts[1] = order.Tokens;
        counts[2] = TakeDeltas(plan, order, layout, image);
        counts[3] = order.Sampled;
        WriteRows(plan, order, layout, image);
        WriteRules(plan, order, (SampleRow*)(image + layout.Rules));
        work.Plan(order.Contexts.AsSpan(0, order.Singles), _window);
        counts[4] = work.Count;
        counts[5] = work.ChunkTokens;
        work.Rows.AsSpan(0, work.Count).CopyTo(new Span<int>(image + layout.WorkRows, layout.Items));
        work.Chunks.AsSpan(0, work.Count).CopyTo(new Span<int>(image + layout.WorkChunks, layout.Items));
        work.RowStarts.AsSpan(0, layout.Rows + 1).CopyTo(new Span<int>(image + layout.WorkStarts, layout.Rows + 1));
        counts[6] = layout.Tiles > 0 ? WriteTiles(order, layout, image) : 0;
        counts[7] = 0;
    }

    private int TakeDeltas(StepPlan plan, StepOrder order, StepImage layout, byte* image)
    {
        var slots = (int*)(image + layout.DeltaSlots);
        var indices = (int*)(image + layout.DeltaIndices);
        var blocks = (int*)(image + layout.DeltaBlocks);
        var count = 0;
        for (var row = 0; row < order.Rows; row++)
        {
            var slot = plan.Slots[order.Sequence(row)];
            for (var missing = _mirror.Missing(slot, order.Contexts[row]); missing > 0; missing--)
            {
                if (count == layout.Deltas)
                {
                    return count;
                }

                var index = _mirror.Next(slot);
                slots[count] = slot;
                indices[count] = index;
                blocks[count++] = plan.BlockTables[(slot * plan.BlockTableStride) + index];
            }
        }

        return count;
    }

    private void WriteRows(StepPlan plan, StepOrder order, StepImage layout, byte* image)
    {
        var slots = (int*)(image + layout.Slots);
        var firsts = (int*)(image + layout.FirstPositions);
        var ids = (int*)(image + layout.InputIds);
        var token = 0;
        var sampled = 0;
        for (var row = 0; row < order.Rows; row++)
        {
            var sequence = order.Sequence(row);
            slots[row] = plan.Slots[sequence];
            firsts[row] = _firsts[row] = plan.FirstPositions[sequence];
            _starts[row] = token;
            for (var i = plan.TokenStarts[sequence]; i < plan.TokenStarts[sequence + 1]; i++)
            {
                ids[token++] = Checked(plan.TokenIds[i]);
            }

            if (layout.Tiles > 0)
            {
                ((int*)(image + layout.TokenStarts))[row] = _starts[row];
                if (plan.Samples[sequence])
                {
                    ((int*)(image + layout.SampledTokens))[sampled++] = token - 1;
                }
            }
        }

        _starts[order.Rows] = token;
        if (layout.Tiles > 0)
        {
            ((int*)(image + layout.TokenStarts))[order.Rows] = token;
        }
    }

    private void WriteRules(StepPlan plan, StepOrder order, SampleRow* rules)
    {
        for (var row = 0; row < order.Sampled; row++)
        {
            var sequence = order.SampledSequence(row);
            var slot = plan.Slots[sequence];
            var options = _slots[slot].Options;
            rules[row] = new SampleRow
            {
                Seed = options.Seed,
                Position = plan.FirstPositions[sequence] + plan.TokenStarts[sequence + 1] - plan.TokenStarts[sequence],
                Temperature = options.Temperature,
                TopP = options.TopP,
                MinP = options.MinP,
                TopK = options.TopK,
                Slot = slot,
            };
        }
    }

    /// <summary>Tiles of the rows after the single ones.</summary>
    private int WriteTiles(StepOrder order, StepImage layout, byte* image)
    {
        var chunks = order.Rows - order.Singles;
        _tiles.Plan(_starts.AsSpan(order.Singles, chunks + 1), _firsts.AsSpan(order.Singles, chunks));
        var rows = (int*)(image + layout.TileRows);
        var starts = (int*)(image + layout.TileStarts);
        for (var tile = 0; tile < _tiles.Count; tile++)
        {
            rows[tile] = _tiles.Rows[tile] + order.Singles;
            starts[tile] = _tiles.Starts[tile];
        }

        return _tiles.Count;
    }

    // Ids index the embedding table on the device; the kernel would read row 0 for one outside, which is a wrong answer.
    private int Checked(int id) =>
        id >= StepPlan.LastSampledToken && id < _geometry.VocabularySize
            ? id
            : throw new InvalidOperationException($"token id: 0..{_geometry.VocabularySize - 1}; got {id}");
}
