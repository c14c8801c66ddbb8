using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>Makes log probabilities of prompt tokens on the device, from a tile of logits at a time.</summary>
/// <remarks>
/// Orders go ahead of the forward pass; each tile's results follow its kernel to the step's pinned memory, in the stream's order, so that
/// one tile's room serves all. Nothing is allocated in a step. Thread: the engine's.
/// </remarks>
internal sealed unsafe class DeviceScorer : IRowScorer
{
    private readonly KernelStream _stream;
    private readonly KernelLauncher _launcher;
    private readonly SlotSampling[] _slots;
    private readonly ScoreLayout _layout;
    private readonly byte* _orders;
    private readonly byte* _tile;
    private StepFlight? _flight;

    /// <summary>A scorer of one model's steps.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public DeviceScorer(
        KernelDevice device, KernelStream stream, IDeviceMemory memory, ExecutorGeometry geometry, OpsShape shape, SlotSampling[] slots)
    {
        (_stream, _slots) = (stream, slots);
        _launcher = new KernelLauncher(device, stream);
        _layout = new ScoreLayout(geometry, shape);
        _orders = memory.Take(_layout.OrderBytes, "orders of scored rows");
        _tile = memory.Take(_layout.TileBytes, "results of scored rows");
    }

    /// <summary>[scored] the token's place on the device.</summary>
    public int* Tokens => (int*)_orders;

    /// <summary>Bytes of pinned memory that a step needs.</summary>
    public int StepBytes => _layout.StepBytes;

    /// <summary>Bytes that it takes of the device.</summary>
    public static long BytesFor(ExecutorGeometry geometry, OpsShape shape)
    {
        var layout = new ScoreLayout(geometry, shape);
        return (long)layout.OrderBytes + layout.TileBytes;
    }

    /// <summary>A step that scores begins: its orders go to the device.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="order">Its order.</param>
    /// <param name="writer">Has written the step, and knows where each row's tokens start.</param>
    /// <param name="flight">Whose pinned memory is free.</param>
    public void Begin(StepPlan plan, StepOrder order, StepWriter writer, StepFlight flight)
    {
        _flight = flight;
        var tokens = (int*)flight.Scores;
        var targets = (int*)(flight.Scores + _layout.Targets);
        var wanted = (int*)(flight.Scores + _layout.Wanted);
        for (var row = 0; row < order.Rows; row++)
        {
            var sequence = order.Sequence(row);
            var shift = writer.FirstToken(row) - plan.TokenStarts[sequence];
            var top = _slots[plan.Slots[sequence]].Options.PromptLogprobs ?? 0;
            for (var i = plan.ScoredStarts[sequence]; i < plan.ScoredStarts[sequence + 1]; i++)
            {
                tokens[i] = plan.ScoredTokens[i] + shift;
                targets[i] = plan.ScoredTargets[i];
                wanted[i] = top;
            }
        }

        foreach (var start in stackalloc[] { 0, _layout.Targets, _layout.Wanted })
        {
            _stream.CopyToDevice(_orders + start, flight.Scores + start, plan.ScoredCount * sizeof(int));
        }
    }

    /// <inheritdoc />
    public void Score(Activation logits, int start, int count)
    {
        var arguments = TopLogprobsArguments.Create();
        arguments.NRows = count;
        arguments.Vocab = logits.Columns;
        arguments.MaxN = _layout.Top;
        arguments.Logits = logits.Data;
        arguments.Wanted = (int*)(_orders + _layout.Wanted) + start;
        arguments.Chosen = (int*)(_orders + _layout.Targets) + start;
        arguments.Ids = (int*)(_tile + _layout.TopIds);
        arguments.Logprobs = (float*)(_tile + _layout.TopLogprobs);
        arguments.ChosenLogprob = (float*)_tile;
        arguments.ChosenRank = (int*)(_tile + _layout.Ranks);
        _launcher.TopLogprobs(arguments);
        _stream.CopyToHost(Results(_flight!, start), _tile, _layout.TileBytes);
    }

    /// <summary>Reads the results of a step that has arrived.</summary>
    public void Read(StepFlight flight, StepResult result)
    {
        for (var start = 0; start < flight.Scored; start += _layout.Rows)
        {
            ReadTile(Results(flight, start), result.Scored, start, Math.Min(_layout.Rows, flight.Scored - start));
        }
    }

    private byte* Results(StepFlight flight, int start) =>
        flight.Scores + _layout.OrderBytes + ((long)(start / _layout.Rows) * _layout.TileBytes);

    private void ReadTile(byte* tile, ScoredRows rows, int start, int count)
    {
        for (var i = 0; i < count; i++)
        {
            // A place of 0 is that of a row without a finite logit, or of a token without one.
            var rank = ((int*)(tile + _layout.Ranks))[i];
            rows.Ranks[start + i] = rank;
            rows.Logprobs[start + i] = rank == 0 ? float.NaN : ((float*)tile)[i];
            var target = (start + i) * rows.TopStride;
            new ReadOnlySpan<int>((int*)(tile + _layout.TopIds) + (i * _layout.Top), rows.TopStride).CopyTo(rows.TopTokenIds.AsSpan(target));
            new ReadOnlySpan<float>((float*)(tile + _layout.TopLogprobs) + (i * _layout.Top), rows.TopStride).CopyTo(rows.TopLogprobs.AsSpan(target));
        }
    }
}
