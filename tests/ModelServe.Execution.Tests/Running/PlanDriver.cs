using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Drives an executor by hand-made plans: one or more sequences, prompts in chunks, blocks in any order.</summary>
public sealed class PlanDriver
{
    private readonly IStepExecutor _executor;
    private readonly StepPlan _plan;
    private readonly Dictionary<int, Sequence> _sequences = [];
    private readonly Stack<int> _blocks;

    /// <summary>A driver that hands out blocks in an order that the seed decides.</summary>
    public PlanDriver(IStepExecutor executor, int seed = 1)
    {
        _executor = executor;
        _plan = new StepPlan(executor.Geometry);
        var blocks = Enumerable.Range(1, executor.Geometry.BlockCount - 1).ToArray();
        new Random(seed).Shuffle(blocks);
        _blocks = new Stack<int>(blocks);
    }

    /// <summary>The result of the last step.</summary>
    public StepResult Result { get; private set; } = null!;

    /// <summary>Whether output tokens are fed as "the one last sampled" instead of by their id.</summary>
    public bool FeedsLastSampled { get; init; }

    /// <summary>A sequence takes a slot with its tokens; nothing of it is computed yet.</summary>
    public void Admit(int slot, IReadOnlyList<int> tokens, SamplingOptions? sampling = null) =>
        _sequences[slot] = new Sequence(slot, [.. tokens], tokens.Count, sampling ?? SamplingOptions.Greedy);

    /// <summary>A sequence loses its computed tokens and starts over in the same slot, as after preemption.</summary>
    public void Preempt(int slot)
    {
        var sequence = _sequences[slot];
        sequence.Blocks.ForEach(_blocks.Push);
        sequence.Blocks.Clear();
        sequence.Computed = 0;
        sequence.Assigned = false;
    }

    /// <summary>A sequence leaves.</summary>
    public void Leave(int slot)
    {
        Preempt(slot);
        _sequences.Remove(slot);
    }

    /// <summary>Prompt and output of a slot.</summary>
    public IReadOnlyList<int> Tokens(int slot) => _sequences[slot].Tokens;

    /// <summary>The next token of a slot, as the last step sampled it.</summary>
    public int LastToken(int slot) => _sequences[slot].Tokens[^1];

    /// <summary>Runs one step in which each named slot feeds at most that many tokens; sampled tokens join their sequences.</summary>
    public void Step(params (int Slot, int MaxTokens)[] feeds)
    {
        _plan.Clear();
        _plan.StepId++;
        foreach (var (slot, maxTokens) in feeds)
        {
            Feed(_sequences[slot], maxTokens);
        }

        _executor.Submit(_plan);
        Result = _executor.Collect();
        for (var i = 0; i < feeds.Length; i++)
        {
            if (Result.TokenIds[i] >= 0)
            {
                _sequences[feeds[i].Slot].Tokens.Add(Result.TokenIds[i]);
            }
        }
    }

    /// <summary>Steps one slot until it has that many output tokens.</summary>
    public List<int> Generate(int slot, int count, int chunk = int.MaxValue)
    {
        var sequence = _sequences[slot];
        var target = sequence.PromptLength + count;
        while (sequence.Tokens.Count < target)
        {
            Step((slot, chunk));
            if (Result.TokenIds[0] == StepResult.Failed)
            {
                break;
            }
        }

        return sequence.Tokens[sequence.PromptLength..];
    }

    private void Feed(Sequence sequence, int maxTokens)
    {
        var index = _plan.SequenceCount++;
        var count = Math.Min(Math.Min(maxTokens, sequence.Tokens.Count - sequence.Computed), _plan.TokenIds.Length - _plan.TokenCount);
        if (!sequence.Assigned)
        {
            _plan.NewSlots[_plan.NewSlotCount++] =
                new SlotAssignment(sequence.Slot, sequence.Sampling, sequence.Tokens.ToArray(), sequence.PromptLength);
            sequence.Assigned = true;
        }

        _plan.Slots[index] = sequence.Slot;
        _plan.FirstPositions[index] = sequence.Computed;
        _plan.TokenStarts[index] = _plan.TokenCount;
        for (var i = 0; i < count; i++)
        {
            var isOutput = sequence.Computed >= sequence.PromptLength;
            if (sequence.Sampling.PromptLogprobs is not null && sequence.Computed < sequence.PromptLength - 1)
            {
                _plan.ScoredTokens[_plan.ScoredCount] = _plan.TokenCount;
                _plan.ScoredTargets[_plan.ScoredCount++] = sequence.Tokens[sequence.Computed + 1];
            }

            var id = sequence.Tokens[sequence.Computed++];
            _plan.TokenIds[_plan.TokenCount++] = FeedsLastSampled && isOutput ? StepPlan.LastSampledToken : id;
        }

        _plan.ScoredStarts[index + 1] = _plan.ScoredCount;
        _plan.TokenStarts[index + 1] = _plan.TokenCount;
        _plan.Samples[index] = sequence.Computed == sequence.Tokens.Count;
        while (sequence.Blocks.Count * _executor.Geometry.BlockTokens < sequence.Computed)
        {
            sequence.Blocks.Add(_blocks.Pop());
        }

        sequence.Blocks.CopyTo(_plan.BlockTables, sequence.Slot * _plan.BlockTableStride);
    }

    private sealed class Sequence(int slot, List<int> tokens, int promptLength, SamplingOptions sampling)
    {
        public int Slot { get; } = slot;

        public List<int> Tokens { get; } = tokens;

        public int PromptLength { get; } = promptLength;

        public SamplingOptions Sampling { get; } = sampling;

        public List<int> Blocks { get; } = [];

        public int Computed { get; set; }

        public bool Assigned { get; set; }
    }
}
