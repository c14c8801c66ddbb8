using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Applies the result of a step to its sequences, and remembers who has news until it is published.</summary>
/// <remarks>Settling changes engine state only; readers are woken afterwards, all at once. Thread: engine thread only.</remarks>
internal sealed class StepSettlement
{
    private const string NotFinite = "the model's output for this request was not finite";

    private readonly ExecutorGeometry _geometry;
    private readonly StepPlanner _planner;
    private readonly EngineCounters _counters;
    private readonly Sequence?[] _touched;
    private readonly FinishReason[] _reasons;
    private readonly string?[] _errors;
    private int _touchedCount;

    /// <summary>Makes the settlement of one engine.</summary>
    public StepSettlement(ExecutorGeometry geometry, StepPlanner planner, EngineCounters counters)
    {
        _geometry = geometry;
        _planner = planner;
        _counters = counters;
        _touched = new Sequence?[geometry.MaxSequences];
        _reasons = new FinishReason[geometry.MaxSequences];
        _errors = new string?[geometry.MaxSequences];
    }

    /// <summary>Takes a result in.</summary>
    /// <param name="step">The step it belongs to.</param>
    /// <param name="result">What the executor returned.</param>
    /// <param name="now">This moment.</param>
    /// <exception cref="ExecutorFailedException">The result is not one of that step.</exception>
    public void Settle(PlannedStep step, StepResult result, DateTimeOffset now)
    {
        var plan = step.Plan;
        if (result.StepId != plan.StepId || result.SequenceCount != plan.SequenceCount)
        {
            throw new ExecutorFailedException(
                $"the executor returned step {result.StepId} of {result.SequenceCount} sequences for step {plan.StepId} of {plan.SequenceCount}");
        }

        _touchedCount = 0;
        _planner.Ledger.Pool.Retire(plan.StepId);
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            if (step.Take(row, out var end) is { } sequence)
            {
                if (plan.ScoredCount > 0 && !TakeScores(sequence, plan, result, row))
                {
                    continue;
                }

                SettleRow(sequence, plan.Samples[row], result, row, end, now);
            }
        }

        _counters.Steps++;
        _counters.LastProgressTicks = now.UtcTicks;
    }

    /// <summary>Hands over one of those with news, and why it ends if it does.</summary>
    /// <returns>False when there is none left.</returns>
    public bool TryTakeNews(ref int next, out Sequence sequence, out FinishReason reason, out string? error)
    {
        sequence = null!;
        reason = FinishReason.None;
        error = null;
        if (next == _touchedCount)
        {
            return false;
        }

        sequence = _touched[next]!;
        reason = _reasons[next];
        error = _errors[next];
        _touched[next++] = null;
        return true;
    }

    private void SettleRow(Sequence sequence, bool sampled, StepResult result, int row, int end, DateTimeOffset now)
    {
        var token = result.TokenIds[row];
        if (token == StepResult.Failed)
        {
            _counters.FailedSequences++;
            Touch(sequence, FinishReason.Error, result.Failures[row] ?? NotFinite);
            return;
        }

        if (token == StepResult.Postponed && sampled)
        {
            _planner.FeedLastAgain(sequence);
            _counters.PostponedTokens++;
            _planner.Ledger.EnterSettled(sequence);
            return;
        }

        if (sampled != (token != StepResult.NoToken) || (sampled && (uint)token >= (uint)_geometry.VocabularySize))
        {
            throw new ExecutorFailedException(
                $"the executor returned token {token} for a row of step {result.StepId} that was {(sampled ? "" : "not ")}sampled");
        }

        var reason = FinishReason.None;
        if (sampled)
        {
            sequence.Placeholders--;
            sequence.Output.Append(result, row);
            sequence.Stream.Timings.FirstToken ??= now;
            _counters.GeneratedTokens++;
            _planner.Waiting.Charge(sequence, 1);
            reason = EndingAfter(sequence, token);
        }

        sequence.Settled = end;
        _planner.Ledger.EnterSettled(sequence);
        if (sampled)
        {
            Touch(sequence, reason);
        }
        else if (sequence.Request.MaxTokens == 0 && end == sequence.PromptLength)
        {
            Touch(sequence, FinishReason.Length);
        }
    }

    private bool TakeScores(Sequence sequence, StepPlan plan, StepResult result, int row)
    {
        var start = plan.ScoredStarts[row];
        var count = plan.ScoredStarts[row + 1] - start;
        if (count == 0 || sequence.Output.Scoring!.Take(result.Scored, start, count))
        {
            _counters.ScoredTokens += count;
            return true;
        }

        _counters.FailedSequences++;
        Touch(sequence, FinishReason.Error, NotFinite);
        return false;
    }

    private FinishReason EndingAfter(Sequence sequence, int token)
    {
        var outputs = sequence.Known - sequence.PromptLength;
        return outputs > sequence.Request.Sampling.MinTokens && sequence.StopTokenIds.AsSpan().Contains(token) ? FinishReason.Stop
            : outputs >= sequence.Request.MaxTokens ? FinishReason.Length
            : sequence.Known >= _geometry.MaxModelLength ? FinishReason.ContextFull
            : FinishReason.None;
    }

    private void Touch(Sequence sequence, FinishReason reason, string? error = null)
    {
        _touched[_touchedCount] = sequence;
        _errors[_touchedCount] = error;
        _reasons[_touchedCount++] = reason;
    }
}
