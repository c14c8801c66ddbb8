using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Simulation;

/// <summary>An executor without a model: the next token is a function of the whole prefix, and the engine's promises are checked.</summary>
/// <remarks>
/// Keeps a shadow of the key-value cache that holds, per block and offset, the token written there. A row's prefix is read
/// back through its block table and compared with the sequence's own tokens, so a wrong table, a block reused too early or a
/// false prefix hit is an exception instead of a plausible token. A plan that changes while in flight is one too.
/// For tests of everything above the executor. Depth 2 does the work of a step when it is collected, as a device would.
/// Thread: engine thread only; the hooks are called there.
/// </remarks>
public sealed class FakeExecutor : IStepExecutor
{
    private const int Unwritten = -1;

    private readonly NextToken _nextToken;
    private readonly int[] _shadow;
    private readonly int[][] _tokens;
    private readonly int[] _lengths;
    private readonly int[] _generated;
    private readonly SamplingOptions[] _sampling;
    private readonly bool[] _generates;
    private readonly ITokenConstraintFollower?[] _followers;
    private readonly bool[] _postponed;
    private readonly Queue<(StepPlan Plan, ulong Checksum)> _inFlight = new();
    private readonly StepResult _result;

    /// <summary>Makes an executor of the given sizes.</summary>
    /// <param name="geometry">Sizes.</param>
    /// <param name="depth">Steps that may be in flight.</param>
    /// <param name="nextToken">The rule; null takes <see cref="HashOf"/> modulo the vocabulary.</param>
    public FakeExecutor(ExecutorGeometry geometry, int depth = 1, NextToken? nextToken = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        Geometry = geometry;
        Depth = depth;
        _nextToken = nextToken ?? (prefix => (int)(HashOf(prefix) % (uint)geometry.VocabularySize));
        _shadow = new int[geometry.BlockCount * geometry.BlockTokens];
        Array.Fill(_shadow, Unwritten);
        _tokens = new int[geometry.MaxSequences][];
        _lengths = new int[geometry.MaxSequences];
        _generated = new int[geometry.MaxSequences];
        _sampling = new SamplingOptions[geometry.MaxSequences];
        _generates = new bool[geometry.MaxSequences];
        _followers = new ITokenConstraintFollower?[geometry.MaxSequences];
        _postponed = new bool[geometry.MaxSequences];
        _result = new StepResult(geometry);
        for (var slot = 0; slot < geometry.MaxSequences; slot++)
        {
            _tokens[slot] = [];
            _sampling[slot] = SamplingOptions.Greedy;
        }
    }

    /// <inheritdoc />
    public ExecutorGeometry Geometry { get; }

    /// <inheritdoc />
    public int Depth { get; }

    /// <summary>Called with every plan as it is submitted; may throw in place of a failing or exhausted device.</summary>
    public Action<StepPlan>? Submitting { get; set; }

    /// <summary>Called with every plan before its result is made; may block in place of a slow device, or throw.</summary>
    public Action<StepPlan>? Collecting { get; set; }

    /// <summary>Asked for every token that a step is to choose, with the plan and its row; true leaves it to a later step, as if a constraint were not ready.</summary>
    public Func<StepPlan, int, bool>? Postponing { get; set; }

    /// <summary>Called with what a step says of prompt tokens; may change it.</summary>
    public Action<ScoredRows>? Scoring { get; set; }

    /// <summary>Steps collected.</summary>
    public long StepsCollected { get; private set; }

    /// <summary>A well-mixed number of a run of tokens (FNV-1a over words, finished after splitmix64).</summary>
    public static ulong HashOf(ReadOnlySpan<int> prefix)
    {
        var hash = 0xcbf29ce484222325UL;
        foreach (var token in prefix)
        {
            hash = (hash ^ (uint)token) * 0x100000001b3UL;
        }

        hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9UL;
        hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebUL;
        return hash ^ (hash >> 31);
    }

    /// <inheritdoc />
    public void Submit(StepPlan plan)
    {
        Require(_inFlight.Count < Depth, plan, $"more than {Depth} steps are in flight");
        CheckShape(plan);
        foreach (var (earlier, _) in _inFlight)
        {
            CheckBlocksAgainst(earlier, plan);
        }

        Call(Submitting, plan);
        _inFlight.Enqueue((plan, Checksum(plan)));
    }

    /// <inheritdoc />
    public StepResult Collect()
    {
        if (!_inFlight.TryDequeue(out var oldest))
        {
            throw new InvalidOperationException("no step is in flight");
        }

        var plan = oldest.Plan;
        Call(Collecting, plan);
        Require(Checksum(plan) == oldest.Checksum, plan, "the plan changed while it was in flight");
        for (var i = 0; i < plan.NewSlotCount; i++)
        {
            Enter(plan.NewSlots[i]);
        }

        _result.StepId = plan.StepId;
        _result.SequenceCount = plan.SequenceCount;
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            RunRow(plan, row);
            ScoreRow(plan, row);
        }

        if (plan.ScoredCount > 0)
        {
            Scoring?.Invoke(_result.Scored);
        }

        StepsCollected++;
        return _result;
    }

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private static void Require(bool holds, StepPlan plan, string broken)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"step {plan.StepId}: {broken}");
        }
    }

    private void Call(Action<StepPlan>? hook, StepPlan plan)
    {
        try
        {
            hook?.Invoke(plan);
        }
        catch (ExecutorExhaustedException)
        {
            _inFlight.Clear();
            throw;
        }
    }

    private static ulong Checksum(StepPlan plan)
    {
        var hash = HashOf([(int)plan.StepId, plan.SequenceCount, plan.TokenCount, plan.NewSlotCount]);
        hash = (hash * 31) ^ HashOf(plan.Slots.AsSpan(0, plan.SequenceCount));
        hash = (hash * 31) ^ HashOf(plan.TokenStarts.AsSpan(0, plan.SequenceCount + 1));
        hash = (hash * 31) ^ HashOf(plan.FirstPositions.AsSpan(0, plan.SequenceCount));
        hash = (hash * 31) ^ HashOf(plan.TokenIds.AsSpan(0, plan.TokenCount));
        hash = (hash * 31) ^ HashOf(plan.ScoredTokens.AsSpan(0, plan.ScoredCount));
        hash = (hash * 31) ^ HashOf(plan.ScoredTargets.AsSpan(0, plan.ScoredCount));
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            hash = (hash * 31) ^ HashOf(plan.BlockTable(plan.Slots[row]));
        }

        return hash;
    }

    private void CheckShape(StepPlan plan)
    {
        Require(plan.SequenceCount >= 1 && plan.SequenceCount <= Geometry.MaxSequences, plan, $"{plan.SequenceCount} sequences");
        Require(plan.TokenCount <= Geometry.MaxBatchedTokens, plan, $"{plan.TokenCount} tokens exceed the step's budget");
        var seen = new bool[Geometry.MaxSequences];
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            var count = plan.TokenStarts[row + 1] - plan.TokenStarts[row];
            Require(count >= 1, plan, $"row {row} feeds no token");
            Require(!seen[plan.Slots[row]], plan, $"slot {plan.Slots[row]} is in two rows");
            Require(plan.FirstPositions[row] + count < Geometry.MaxModelLength, plan, $"row {row} leaves the context window");
            seen[plan.Slots[row]] = true;
        }

        Require(plan.TokenStarts[plan.SequenceCount] == plan.TokenCount, plan, "token starts and count disagree");
    }

    /// <summary>A block that a step in flight reads or writes must not be written for another sequence.</summary>
    private void CheckBlocksAgainst(StepPlan earlier, StepPlan plan)
    {
        var users = new Dictionary<int, int>();
        for (var row = 0; row < earlier.SequenceCount; row++)
        {
            foreach (var block in ValidBlocks(earlier, row))
            {
                users[block] = earlier.Slots[row];
            }
        }

        for (var row = 0; row < plan.SequenceCount; row++)
        {
            var slot = plan.Slots[row];
            var entered = plan.NewSlots.AsSpan(0, plan.NewSlotCount).ToArray().Any(assignment => assignment.Slot == slot);
            foreach (var block in ValidBlocks(plan, row)[(plan.FirstPositions[row] / Geometry.BlockTokens)..])
            {
                Require(
                    !users.TryGetValue(block, out var user) || (user == slot && !entered),
                    plan,
                    $"block {block} is written for slot {slot} while step {earlier.StepId} uses it for slot {user}");
            }
        }
    }

    private ReadOnlySpan<int> ValidBlocks(StepPlan plan, int row)
    {
        var end = plan.FirstPositions[row] + plan.TokenStarts[row + 1] - plan.TokenStarts[row];
        return plan.BlockTable(plan.Slots[row])[..((end + Geometry.BlockTokens - 1) / Geometry.BlockTokens)];
    }

    private void Enter(SlotAssignment assignment)
    {
        if (_tokens[assignment.Slot].Length == 0)
        {
            _tokens[assignment.Slot] = new int[Geometry.MaxModelLength + 1];
        }

        assignment.TokenIds.Span.CopyTo(_tokens[assignment.Slot]);
        _lengths[assignment.Slot] = assignment.TokenIds.Length;
        _generated[assignment.Slot] = assignment.TokenIds.Length - assignment.PromptLength;
        _sampling[assignment.Slot] = assignment.Sampling;
        _generates[assignment.Slot] = assignment.Generates;
        _followers[assignment.Slot] = assignment.Sampling.Constraint?.Follow();
        _followers[assignment.Slot]?.Follow(assignment.TokenIds.Span[assignment.PromptLength..]);
        _postponed[assignment.Slot] = false;
    }

    private void RunRow(StepPlan plan, int row)
    {
        var slot = plan.Slots[row];
        var first = plan.FirstPositions[row];
        var blocks = ValidBlocks(plan, row);
        var fed = plan.TokenIds.AsSpan(plan.TokenStarts[row], plan.TokenStarts[row + 1] - plan.TokenStarts[row]);
        if (_postponed[slot] && fed[^1] == StepPlan.LastSampledToken)
        {
            // Planned when the token was still expected: whatever comes of it must not be looked at.
            _shadow[Cell(blocks, first)] = Unwritten;
            _result.TokenIds[row] = StepResult.Failed;
            return;
        }

        _postponed[slot] = false;
        for (var i = 0; i < fed.Length; i++)
        {
            var position = first + i;
            Require(position < _lengths[slot], plan, $"slot {slot} feeds position {position} of {_lengths[slot]} tokens");
            var expected = _tokens[slot][position];
            Require(
                fed[i] == expected || (fed[i] == StepPlan.LastSampledToken && position == _lengths[slot] - 1),
                plan,
                $"slot {slot} feeds {fed[i]} at position {position}, where its token is {expected}");
            _shadow[Cell(blocks, position)] = expected;
        }

        var length = first + fed.Length;
        for (var position = 0; position < length; position++)
        {
            var cached = _shadow[Cell(blocks, position)];
            Require(
                cached == _tokens[slot][position],
                plan,
                $"slot {slot} reads token {cached} at position {position}, where its token is {_tokens[slot][position]}");
        }

        Sample(plan, row, slot, length);
    }

    private void ScoreRow(StepPlan plan, int row)
    {
        var slot = plan.Slots[row];
        for (var i = plan.ScoredStarts[row]; i < plan.ScoredStarts[row + 1]; i++)
        {
            var token = plan.ScoredTokens[i];
            var position = plan.FirstPositions[row] + token - plan.TokenStarts[row];
            Require(
                token >= plan.TokenStarts[row] && token < plan.TokenStarts[row + 1] && position + 1 < _lengths[slot] - _generated[slot],
                plan,
                $"slot {slot} scores token {token}, which is none of its prompt");
            Require(
                plan.ScoredTargets[i] == _tokens[slot][position + 1],
                plan,
                $"slot {slot} scores {plan.ScoredTargets[i]} at position {position + 1}, where its token is {_tokens[slot][position + 1]}");
            FakeScores.Fill(_result.Scored, i, _tokens[slot].AsSpan(0, position + 1), plan.ScoredTargets[i], Geometry.VocabularySize);
        }
    }

    private int Cell(ReadOnlySpan<int> blocks, int position)
    {
        var block = blocks[position / Geometry.BlockTokens];
        if (block <= 0 || block >= Geometry.BlockCount)
        {
            throw new InvalidOperationException($"block {block} is not in 1..{Geometry.BlockCount - 1}");
        }

        return (block * Geometry.BlockTokens) + (position % Geometry.BlockTokens);
    }

    private void Sample(StepPlan plan, int row, int slot, int length)
    {
        _result.TopCounts[row] = 0;
        _result.Failures[row] = null;
        Require(
            plan.Samples[row] == (length == _lengths[slot] && _generates[slot]), plan, $"slot {slot} samples at {length} of {_lengths[slot]} tokens");
        if (!plan.Samples[row])
        {
            _result.TokenIds[row] = StepResult.NoToken;
            return;
        }

        if (Postponing?.Invoke(plan, row) == true)
        {
            _postponed[slot] = true;
            _result.TokenIds[row] = StepResult.Postponed;
            return;
        }

        var token = Constrained(row, slot, _nextToken(_tokens[slot].AsSpan(0, length)));
        _result.TokenIds[row] = token;
        _tokens[slot][length] = Math.Max(token, 0);
        _lengths[slot] = length + 1;
        _generated[slot]++;
        if (_sampling[slot].TopLogprobs is { } top && token >= 0)
        {
            FillLogprobs(row, token, top);
        }
    }

    // The token itself if it is allowed, else the next one up that is.
    private int Constrained(int row, int slot, int token)
    {
        if (_followers[slot] is not { } follower || token < 0)
        {
            return token;
        }

        var allowed = new uint[(Geometry.VocabularySize + 31) / 32];
        if (!follower.FillMask(allowed))
        {
            _result.Failures[row] = follower.Failure ?? "the constraint allows no token";
            return StepResult.Failed;
        }

        while ((allowed[token >> 5] >> (token & 31) & 1) == 0)
        {
            token = (token + 1) % Geometry.VocabularySize;
        }

        if (!follower.TryFollow(token))
        {
            follower.Follow([token]);
        }

        return token;
    }

    private void FillLogprobs(int row, int token, int top)
    {
        _result.Logprobs[row] = -1f / (token + 1);
        _result.TopCounts[row] = Math.Min(top, Geometry.VocabularySize);
        for (var rank = 0; rank < _result.TopCounts[row]; rank++)
        {
            _result.TopTokenIds[(row * _result.TopStride) + rank] = (token + rank) % Geometry.VocabularySize;
            _result.TopLogprobs[(row * _result.TopStride) + rank] = (-1f / (token + 1)) - rank;
        }
    }
}
