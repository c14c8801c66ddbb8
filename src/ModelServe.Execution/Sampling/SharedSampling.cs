using ModelServe.Engine.Running;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Sampling;

/// <summary>Chooses the next tokens of several sequences, on as many threads as the operations have.</summary>
/// <remarks>
/// A sequence's choice touches its own slot and its own entry of the result alone. The engine thread adds rows; each thread has a sampler of
/// its own, made when it first chooses.
/// </remarks>
internal sealed class SharedSampling(SlotSampling[] slots, StepBatch batch, StepResult result, int vocabularySize, int threads) : IRowWork
{
    private readonly TokenSampler?[] _samplers = new TokenSampler?[threads];
    private readonly (int Sequence, int Slot, int Row)[] _rows = new (int, int, int)[slots.Length];
    private Activation? _logits;

    /// <summary>Rows that were added and not chosen for yet.</summary>
    public int Count { get; private set; }

    /// <summary>The logits of the rows to come, and no rows yet.</summary>
    public void Begin(Activation logits)
    {
        _logits = logits;
        Count = 0;
    }

    /// <summary>Adds a sequence whose token can be chosen.</summary>
    /// <param name="sequence">The sequence, of the step.</param>
    /// <param name="slot">Its slot.</param>
    /// <param name="row">Its row of the logits.</param>
    public void Add(int sequence, int slot, int row) => _rows[Count++] = (sequence, slot, row);

    /// <summary>Chooses the token of a sequence at once. Engine thread.</summary>
    public void Choose(int sequence, int slot, int row)
    {
        Add(sequence, slot, row);
        Do(--Count, 0);
    }

    /// <inheritdoc />
    public void Do(int row, int thread)
    {
        var (sequence, slot, logits) = _rows[row];
        var sampler = _samplers[thread] ??= new TokenSampler(vocabularySize);
        sampler.Sample(_logits!.Row(logits), slots[slot], batch.ContextLength(sequence), result, sequence);
    }
}
