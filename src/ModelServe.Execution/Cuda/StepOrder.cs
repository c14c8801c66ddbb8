using ModelServe.Engine.Running;

namespace ModelServe.Execution.Cuda;

/// <summary>The order in which a plan's sequences become rows: those that feed one token first, and what follows from it.</summary>
/// <remarks>Decode attention takes row i for token i, so single tokens must lead. Reused for every step. Thread: the engine's.</remarks>
internal sealed class StepOrder
{
    private readonly int[] _sequences;
    private readonly int[] _sampledSequences;

    /// <summary>An order for at most the geometry's sequences.</summary>
    public StepOrder(ExecutorGeometry geometry)
    {
        _sequences = new int[geometry.MaxSequences];
        _sampledSequences = new int[geometry.MaxSequences];
        Contexts = new int[geometry.MaxSequences];
    }

    /// <summary>Rows.</summary>
    public int Rows { get; private set; }

    /// <summary>Rows that feed one token; the first ones.</summary>
    public int Singles { get; private set; }

    /// <summary>Rows that get logits.</summary>
    public int Sampled { get; private set; }

    /// <summary>Tokens that all rows feed.</summary>
    public int Tokens { get; private set; }

    /// <summary>[row] tokens that its sequence has after the step.</summary>
    public int[] Contexts { get; }

    /// <summary>Whether every row feeds one token and gets logits: a step that a captured graph can run.</summary>
    public bool IsDecode => Singles == Rows && Sampled == Rows;

    /// <summary>The plan's sequence of a row.</summary>
    public int Sequence(int row) => _sequences[row];

    /// <summary>The plan's sequence of a sampled row.</summary>
    public int SampledSequence(int row) => _sampledSequences[row];

    /// <summary>Orders a plan.</summary>
    public void Arrange(StepPlan plan)
    {
        Rows = plan.SequenceCount;
        Tokens = plan.TokenCount;
        Singles = 0;
        Sampled = 0;
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            if (Fed(plan, sequence) == 1)
            {
                _sequences[Singles++] = sequence;
            }
        }

        var row = Singles;
        for (var sequence = 0; sequence < plan.SequenceCount; sequence++)
        {
            if (Fed(plan, sequence) != 1)
            {
                _sequences[row++] = sequence;
            }
        }

        for (row = 0; row < Rows; row++)
        {
            var sequence = _sequences[row];
            Contexts[row] = plan.FirstPositions[sequence] + Fed(plan, sequence);
            if (plan.Samples[sequence])
            {
                _sampledSequences[Sampled++] = sequence;
            }
        }
    }

    private static int Fed(StepPlan plan, int sequence) => plan.TokenStarts[sequence + 1] - plan.TokenStarts[sequence];
}
