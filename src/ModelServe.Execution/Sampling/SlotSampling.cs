using System.Runtime.InteropServices;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Execution.Sampling;

/// <summary>What sampling remembers of the sequence in one slot: its options, how often each token came, and its mask, where that matters.</summary>
/// <param name="masks">Who makes the masks of constrained sequences; null for the calling thread.</param>
internal sealed class SlotSampling(MaskWorkers? masks = null)
{
    private readonly Dictionary<int, int> _outputCounts = [];
    private MaskOrder? _mask;
    private uint[] _allowed = [];

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Options { get; private set; } = SamplingOptions.Greedy;

    /// <summary>Tokens of the prompt.</summary>
    public int PromptLength { get; private set; }

    /// <summary>Whether the logits are changed before a token is chosen.</summary>
    public bool ChangesLogits { get; private set; }

    /// <summary>Whether the output is constrained; what follows a constraint is the engine thread's alone.</summary>
    public bool IsConstrained => _mask is not null;

    /// <summary>Whether the next token can be chosen: there is no constraint, or its mask is ready.</summary>
    public bool IsMaskReady => _mask is null or { IsReady: true };

    /// <summary>Whether a step has gone on without the mask that is being made.</summary>
    public bool IsMaskLate => _mask is { WasLate: true };

    /// <summary>Whether the token of the sequence's last row was left to a later step, so that rows planned on it are void.</summary>
    public bool IsPostponed { get; set; }

    /// <summary>Why the last mask allowed nothing; null if it allowed something.</summary>
    public string? Failure { get; private set; }

    /// <summary>A sequence enters the slot, or comes back to it after preemption.</summary>
    /// <param name="assignment">Its options and tokens so far.</param>
    /// <param name="capacity">Most distinct tokens that it can have, so that a step need not grow the table.</param>
    public void Assign(in SlotAssignment assignment, int capacity)
    {
        Options = assignment.Sampling;
        PromptLength = assignment.PromptLength;
        ChangesLogits = Options.HasPenalties || Options.LogitBias.Count > 0 || (Options.MinTokens > 0 && Options.StopTokenIds.Count > 0)
            || Options.Constraint is not null;
        _outputCounts.Clear();
        IsPostponed = false;
        Failure = null;
        _mask = Options.Constraint is { } constraint ? new MaskOrder(constraint.Follow()) : null;
        _mask?.Begin(assignment.TokenIds[assignment.PromptLength..], masks);

        if (!Options.HasPenalties)
        {
            return;
        }

        _outputCounts.EnsureCapacity(capacity);
        var tokens = assignment.TokenIds.Span;
        foreach (var id in tokens[..assignment.PromptLength])
        {
            _outputCounts.TryAdd(id, 0);
        }

        foreach (var id in tokens[assignment.PromptLength..])
        {
            Count(id);
        }
    }

    /// <summary>A token joined the output.</summary>
    public void Record(int id)
    {
        _mask?.Advance(id, masks);
        Count(id);
    }

    /// <summary>A step goes on without the mask.</summary>
    public void PassOverMask() => _mask?.PassOver();

    /// <summary>Writes which tokens may come next, a bit each; none where the constraint has come to its end. Only while the mask is ready.</summary>
    /// <returns>Whether the output is constrained; the bits are untouched if not.</returns>
    public bool TryFillMask(Span<uint> allowed)
    {
        if (_mask is not { } mask)
        {
            return false;
        }

        Failure = null;
        if (mask.Failure is not null || !mask.Follower.FillMask(allowed))
        {
            allowed.Clear();
            Failure = mask.Failure ?? mask.Follower.Failure ?? "the constraint of the output allows no token here";
        }

        return true;
    }

    private void Count(int id)
    {
        if (Options.HasPenalties)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(_outputCounts, id, out _)++;
        }
    }

    /// <summary>Changes the logits of the next token, in the order that <see cref="SamplingOptions"/> gives.</summary>
    /// <param name="logits">One vocabulary.</param>
    /// <param name="position">Position of the next token.</param>
    public void Apply(Span<float> logits, int position)
    {
        foreach (var bias in Options.LogitBias)
        {
            logits[bias.TokenId] += bias.Bias;
        }

        if (position - PromptLength < Options.MinTokens)
        {
            foreach (var id in Options.StopTokenIds)
            {
                logits[id] = float.NegativeInfinity;
            }
        }

        foreach (var (id, count) in _outputCounts)
        {
            var logit = logits[id];
            logit = logit > 0 ? logit / Options.RepetitionPenalty : logit * Options.RepetitionPenalty;
            logits[id] = count == 0 ? logit : logit - (count * Options.FrequencyPenalty) - Options.PresencePenalty;
        }

        if (_mask is not null)
        {
            Mask(logits);
        }
    }

    // Where nothing is allowed every logit becomes minus infinity, which fails this sequence alone.
    private void Mask(Span<float> logits)
    {
        if (_allowed.Length * 32 < logits.Length)
        {
            _allowed = new uint[(logits.Length + 31) / 32];
        }

        TryFillMask(_allowed);
        for (var word = 0; word * 32 < logits.Length; word++)
        {
            var bits = _allowed[word];
            var part = logits[(word * 32)..Math.Min((word * 32) + 32, logits.Length)];
            if (bits == 0)
            {
                part.Fill(float.NegativeInfinity);
                continue;
            }

            for (var i = 0; i < part.Length && bits != uint.MaxValue; i++)
            {
                if ((bits >> i & 1) == 0)
                {
                    part[i] = float.NegativeInfinity;
                }
            }
        }
    }
}
