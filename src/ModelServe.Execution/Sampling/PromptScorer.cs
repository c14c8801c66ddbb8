using ModelServe.Engine.Running;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Sampling;

/// <summary>Makes log probabilities of prompt tokens from logits in the host's memory.</summary>
/// <remarks>
/// By the rules of <see cref="TokenSampler"/>: natural logarithms under the unmodified logits, ties by lower id, nothing of a row that
/// is not finite. Thread: the engine's; allocates nothing but what a result's scored rows take the first time.
/// </remarks>
internal sealed class PromptScorer : IRowScorer
{
    private readonly HostLogits? _hostLogits;
    private readonly SlotSampling[] _slots;
    private StepPlan _plan = null!;
    private ScoredRows _rows = null!;
    private int _sequence;

    /// <summary>A scorer of a runner's steps.</summary>
    /// <param name="slots">[slot] what is asked for.</param>
    /// <param name="hostLogits">Brings the logits of a model whose memory is not the host's; null where it is.</param>
    public PromptScorer(SlotSampling[] slots, HostLogits? hostLogits)
    {
        _slots = slots;
        _hostLogits = hostLogits;
    }

    /// <summary>A step that scores begins.</summary>
    public void Begin(StepPlan plan, StepResult result)
    {
        _plan = plan;
        _rows = result.Scored;
        _sequence = 0;
    }

    /// <inheritdoc />
    public void Score(Activation logits, int start, int count)
    {
        var host = _hostLogits?.Bring(logits, count) ?? logits;
        for (var i = 0; i < count; i++)
        {
            while (_plan.ScoredStarts[_sequence + 1] <= start + i)
            {
                _sequence++;
            }

            Score(host.Row(i), start + i, _slots[_plan.Slots[_sequence]].Options.PromptLogprobs ?? 0);
        }
    }

    private void Score(ReadOnlySpan<float> row, int index, int top)
    {
        var max = LogitRow.FiniteMax(row);
        if (float.IsNaN(max))
        {
            _rows.Logprobs[index] = float.NaN;
            return;
        }

        var normaliser = LogitRow.LogSumExp(row, max);
        var target = _plan.ScoredTargets[index];
        _rows.Logprobs[index] = (float)(row[target] - normaliser);
        _rows.Ranks[index] = LogitRow.Rank(row, target);
        top = Math.Min(top, _rows.TopStride);
        var values = _rows.TopLogprobs.AsSpan(index * _rows.TopStride, top);
        LogitRow.Top(row, _rows.TopTokenIds.AsSpan(index * _rows.TopStride, top), values);
        foreach (ref var value in values)
        {
            value = (float)(value - normaliser);
        }
    }
}
