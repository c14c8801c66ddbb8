using System.Runtime.InteropServices;
using ModelServe.Engine.Running;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution;

/// <summary>Runs plans on a loaded model: embed, layers, logits of the rows that sample, tokens.</summary>
/// <remarks>Depth 1: a step is done when <see cref="Submit"/> returns. Engine thread only; a step allocates nothing after warm-up.</remarks>
internal sealed class ModelRunner : IStepExecutor
{
    private readonly CausalDecoder _model;
    private readonly HostLogits? _hostLogits;
    private readonly StepBatch _batch;
    private readonly StepResult _result;
    private readonly SharedSampling _sampling;
    private readonly PromptScorer _scorer;
    private readonly SlotSampling[] _slots;
    private readonly int[] _lastSampled;
    private readonly MaskWorkers _masks = MaskWorkers.ForThisMachine();
    private bool _pending;

    /// <summary>A runner of a model that outlives it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="geometry">Its sizes.</param>
    /// <param name="hostLogits">Brings the logits of a model whose memory is not the host's; null where it is.</param>
    public ModelRunner(CausalDecoder model, ExecutorGeometry geometry, HostLogits? hostLogits = null)
    {
        _hostLogits = hostLogits;
        _model = model;
        Geometry = geometry;
        _batch = new StepBatch(geometry);
        _result = new StepResult(geometry);
        _slots = new SlotSampling[geometry.MaxSequences];
        for (var slot = 0; slot < _slots.Length; slot++)
        {
            _slots[slot] = new SlotSampling(_masks);
        }

        _sampling = new SharedSampling(_slots, _batch, _result, geometry.VocabularySize, model.Threads);
        _scorer = new PromptScorer(_slots, hostLogits);
        _lastSampled = new int[geometry.MaxSequences];
        Array.Fill(_lastSampled, StepResult.NoToken);
    }

    /// <inheritdoc />
    public ExecutorGeometry Geometry { get; }

    /// <inheritdoc />
    public int Depth => 1;

    /// <inheritdoc />
    public void Submit(StepPlan plan)
    {
        if (_pending)
        {
            throw new InvalidOperationException("a step is submitted only after the one before it was collected");
        }

        try
        {
            Run(plan);
            _pending = true;
        }
        catch (OutOfMemoryException exception)
        {
            // Whatever this step wrote lies behind what settled steps wrote, and is written again before it is read.
            throw new ExecutorExhaustedException($"step {plan.StepId}: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is ExternalException or InvalidOperationException)
        {
            throw new ExecutorFailedException($"step {plan.StepId}: {exception.Message}", exception);
        }
    }

    /// <inheritdoc />
    public StepResult Collect()
    {
        if (!_pending)
        {
            throw new InvalidOperationException("a step is collected only after it was submitted");
        }

        _pending = false;
        return _result;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        // The loaded model owns all memory.
        _masks.Dispose();
    }

    private void Run(StepPlan plan)
    {
        for (var i = 0; i < plan.NewSlotCount; i++)
        {
            ref readonly var assignment = ref plan.NewSlots[i];
            _slots[assignment.Slot].Assign(assignment, Math.Min(Geometry.MaxModelLength, Geometry.VocabularySize));
            _lastSampled[assignment.Slot] = StepResult.NoToken;
        }

        _batch.Fill(plan, _lastSampled);
        CheckTokens();
        if (plan.ScoredCount > 0)
        {
            _scorer.Begin(plan, _result);
        }

        var logits = _model.Forward(_batch, _scorer);
        logits = _hostLogits?.Bring(logits, _batch.SampledCount) ?? logits;
        _result.StepId = plan.StepId;
        _result.SequenceCount = plan.SequenceCount;
        var wait = default(MaskWait);
        var late = Sample(plan, logits, isLast: false, ref wait);
        if (late > 0)
        {
            Sample(plan, logits, isLast: true, ref wait);
        }
    }

    /// <summary>Chooses the tokens whose masks are ready; the last time also those whose masks become so, and leaves the rest to later steps.</summary>
    /// <returns>Rows that are left.</returns>
    private int Sample(StepPlan plan, Activation logits, bool isLast, ref MaskWait wait)
    {
        var row = 0;
        var left = 0;
        _sampling.Begin(logits);
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            if (!plan.Samples[sequence])
            {
                _result.TokenIds[sequence] = StepResult.NoToken;
                _result.TopCounts[sequence] = 0;
                continue;
            }

            var slot = plan.Slots[sequence];
            var own = row++;
            if (isLast && _result.TokenIds[sequence] != StepResult.Postponed)
            {
                continue;
            }

            if (!(isLast ? wait.IsOver(_slots[slot], forward: null) : _slots[slot].IsMaskReady))
            {
                _result.TokenIds[sequence] = StepResult.Postponed;
                _result.TopCounts[sequence] = 0;
                left++;
            }
            else if (_slots[slot].IsConstrained)
            {
                _sampling.Choose(sequence, slot, own);
            }
            else
            {
                _sampling.Add(sequence, slot, own);
            }
        }

        _model.ForEachRow(_sampling, _sampling.Count, Geometry.VocabularySize);
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            if (plan.Samples[sequence])
            {
                _lastSampled[plan.Slots[sequence]] = _result.TokenIds[sequence];
            }
        }

        return left;
    }

    // Ids index the embedding table in unmanaged memory: one that slipped through admission must not read beside it.
    private void CheckTokens()
    {
        foreach (var id in _batch.TokenIds.AsSpan(0, _batch.TokenCount))
        {
            if ((uint)id >= (uint)Geometry.VocabularySize)
            {
                throw new InvalidOperationException($"token id: 0..{Geometry.VocabularySize - 1}; got {id}");
            }
        }
    }
}
