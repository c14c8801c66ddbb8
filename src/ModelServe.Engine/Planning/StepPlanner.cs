using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>Decides which sequences feed how many tokens in the next step, and who gives up its blocks when they run out.</summary>
/// <remarks>
/// One rule without phases: a sequence feeds the tokens that are known or promised and not yet computed, clipped by its
/// chunk limit and by what is left of the step's budget; beside sequences that generate, prompts share a budget of their own, so
/// that they neither starve those nor hold them up. Running sequences are served first, then waiting ones; nobody enters
/// in a step in which somebody was preempted or waits for quarantined blocks. A waiting sequence enters only with blocks for
/// all its known tokens. Prefill, chunked prefill, prefix hits and decode are all this rule (after vLLM V1).
/// A pure function of its state and the time it is told: equal arrivals give equal plans. Allocates nothing once warm.
/// Thread: engine thread only.
/// </remarks>
internal sealed class StepPlanner
{
    private readonly ExecutorGeometry _geometry;
    private readonly EngineOptions _options;
    private readonly EngineCounters _counters;
    private readonly int _chunkTokens;
    private readonly int _watermark;
    private readonly long _ageLimitTicks;
    private long _lastRun;
    private int _budget;
    private int _promptBudget;
    private int _briefRows;
    private int _cursor;
    private int _awaitedBlocks;
    private bool _preempted;
    private long _now;
    private Sequence? _blockedHead;
    private int _pause;
    private int _blockedFreeCount;

    /// <summary>Makes a planner without sequences.</summary>
    public StepPlanner(ExecutorGeometry geometry, EngineOptions options, EngineCounters counters, StepTimes times)
    {
        _geometry = geometry;
        _options = options;
        _counters = counters;
        _chunkTokens = options.ChunkTokens == 0 ? geometry.MaxBatchedTokens : options.ChunkTokens;
        _watermark = Math.Max(1, (geometry.BlockCount - 1) / 100);
        _ageLimitTicks = options.PreemptionAgeLimit.Ticks;
        Ledger = new BlockLedger(geometry, options.EnablePrefixCaching ? options.PrefixHashKey : null, options.KvEventCapacity);
        Running = new RunningSet(geometry.MaxSequences);
        Waiting = new WaitingQueue(options.MaxQueuedRequests + geometry.MaxSequences);
        Portions = new PromptPortions(options, geometry.MaxBatchedTokens, times);
    }

    /// <summary>Blocks of the running sequences.</summary>
    public BlockLedger Ledger { get; }

    /// <summary>Sequences with a slot.</summary>
    public RunningSet Running { get; }

    /// <summary>Sequences without one.</summary>
    public WaitingQueue Waiting { get; }

    /// <summary>What prompts may feed beside sequences that generate.</summary>
    public PromptPortions Portions { get; }

    /// <summary>Whether sequences stand still. Written by the engine thread, read by any.</summary>
    public PauseMode Pause
    {
        get => (PauseMode)Volatile.Read(ref _pause);
        set => Volatile.Write(ref _pause, (int)value);
    }

    /// <summary>Takes in a sequence that arrived or was preempted.</summary>
    public void Enqueue(Sequence sequence)
    {
        sequence.Phase = SequencePhase.Waiting;
        Waiting.Add(sequence);
    }

    /// <summary>Lets a sequence go for good, wherever it stands.</summary>
    public void Remove(Sequence sequence)
    {
        if (sequence.Phase == SequencePhase.Running)
        {
            LeaveSlot(sequence);
        }
        else if (sequence.Phase == SequencePhase.Waiting)
        {
            Waiting.Remove(sequence);
        }

        sequence.Phase = SequencePhase.Ended;
    }

    /// <summary>Takes back the promise of a running sequence's next token, so that its last known token is fed again; what later steps in flight say of it is stale.</summary>
    public void FeedLastAgain(Sequence sequence)
    {
        sequence.Computed = sequence.Settled = sequence.Known - 1;
        sequence.Placeholders = 0;
        sequence.Run = ++_lastRun;
    }

    /// <summary>Fills a step.</summary>
    /// <param name="step">An empty step.</param>
    /// <param name="stepId">Its number.</param>
    /// <param name="nowTicks">UTC ticks of this moment.</param>
    /// <returns>Whether the step has any row.</returns>
    public bool Plan(PlannedStep step, long stepId, long nowTicks)
    {
        _now = nowTicks;
        _budget = _geometry.MaxBatchedTokens;
        var demand = Portions.HasLimit ? Demand() : default;
        _promptBudget = Portions.Most(demand);
        _briefRows = demand.Generating == 0 ? Portions.BriefRows() : int.MaxValue;
        _awaitedBlocks = 0;
        _preempted = false;
        if (Pause == PauseMode.Keep)
        {
            step.Begin(stepId);
            return false;
        }

        PlanRunning();
        if (!_preempted && _awaitedBlocks == 0)
        {
            PlanWaiting();
        }

        step.Begin(stepId);
        foreach (var sequence in Running.All)
        {
            if (sequence.Planned > 0)
            {
                step.Add(sequence, Ledger.Row(sequence));
            }
        }

        return step.Plan.SequenceCount > 0;
    }

    /// <summary>What is missing although nothing runs and no step is in flight, or null. O(1).</summary>
    public string? FindIdleViolation()
    {
        var blocks = _geometry.BlockCount - 1 - Ledger.Pool.FreeCount;
        var slots = _geometry.MaxSequences - Running.FreeSlots;
        return blocks == 0 && slots == 0 ? null : $"{blocks} blocks and {slots} slots are taken although no sequence runs";
    }

    /// <summary>Takes every slot and block back; only while nothing runs and no step is in flight.</summary>
    public void Rebuild()
    {
        Ledger.Rebuild();
        Running.Clear();
        _blockedHead = null;
    }

    /// <summary>Sends everything that runs back to the queue, to be computed again; only once no step is in flight.</summary>
    /// <param name="lastStepId">The newest step, which is dropped with all before it.</param>
    /// <returns>The sequence that took the most memory; null if none ran.</returns>
    public Sequence? PreemptAll(long lastStepId)
    {
        Sequence? largest = null;
        var most = -1;
        while (Running.Count > 0)
        {
            var sequence = Running[Running.Count - 1];
            if (sequence.BlockCount > most)
            {
                (largest, most) = (sequence, sequence.BlockCount);
            }

            Preempt(sequence);
        }

        Ledger.Pool.Retire(lastStepId);
        return largest;
    }

    /// <summary>Lets all sequences go at once without looking at their state, which a failure may have broken.</summary>
    public void Abandon()
    {
        Rebuild();
        Waiting.Clear();
    }

    private void PlanRunning()
    {
        foreach (var sequence in Running.All)
        {
            sequence.Planned = 0;
        }

        for (_cursor = 0; _cursor < Running.Count && _budget > 0;)
        {
            var sequence = Running[_cursor++];
            if (sequence.EndsInFlight(_geometry.MaxModelLength))
            {
                continue;
            }

            var tokens = Allowed(sequence);
            if (tokens > 0 && Secure(sequence, sequence.Computed + tokens))
            {
                Spend(sequence, tokens);
            }
        }
    }

    private void PlanWaiting()
    {
        while (_budget > 0 && _promptBudget > 0 && Running.FreeSlots > 0 && Waiting.First is { } sequence)
        {
            // Looking the same prompt up again at every step is wasted while no block has come free.
            if (Running.Count > 0 && ReferenceEquals(sequence, _blockedHead) && Ledger.Pool.FreeCount <= _blockedFreeCount)
            {
                return;
            }

            if (Pause != PauseMode.None && sequence.Stream.Timings.Scheduled is null)
            {
                // Only who ran already, and was preempted, may finish.
                return;
            }

            sequence.Slot = Running.NextSlot;
            if (!Ledger.TryStart(sequence, Running.Count > 0 ? _watermark : 0))
            {
                sequence.Slot = -1;
                _blockedHead = sequence;
                _blockedFreeCount = Ledger.Pool.FreeCount;
                return;
            }

            _blockedHead = null;
            EnterSlot(sequence);
            Spend(sequence, Allowed(sequence));
        }
    }

    private StepDemand Demand()
    {
        var (generating, attended, unanswered, position, oldest) = (0, 0L, 0, 0, _now);
        foreach (var sequence in Running.All)
        {
            if (sequence.EndsInFlight(_geometry.MaxModelLength))
            {
                continue;
            }

            if (sequence.Pending == 1)
            {
                generating++;
                attended += sequence.Computed;
                continue;
            }

            position = unanswered++ == 0 ? sequence.Computed : position;
            oldest = Math.Min(oldest, sequence.Stream.Timings.Scheduled?.UtcTicks ?? oldest);
        }

        unanswered += Math.Min(Waiting.Count, Running.FreeSlots);
        return new StepDemand(StepShape.Generating(generating, attended), unanswered, position, _now - oldest);
    }

    private int Allowed(Sequence sequence)
    {
        var tokens = Math.Min(Math.Min(sequence.Pending, _chunkTokens), _budget);
        return sequence.Pending == 1 ? tokens : Math.Min(tokens, _promptBudget);
    }

    private void Spend(Sequence sequence, int tokens)
    {
        sequence.Planned = tokens;
        _budget -= tokens;
        if (sequence.Pending > 1)
        {
            _promptBudget -= tokens;
            _briefRows -= _briefRows == int.MaxValue ? 0 : tokens;
            if (tokens == sequence.Pending)
            {
                // Its answer begins with this step; what else waits is fed beside it.
                _promptBudget = Math.Min(_promptBudget, Math.Max(0, _briefRows));
            }
        }
    }

    private bool Secure(Sequence sequence, int positions)
    {
        while (!Ledger.TryGrow(sequence, positions))
        {
            var missing = Ledger.Missing(sequence, positions);
            if (Ledger.Pool.FreeCount + Ledger.Pool.QuarantinedCount >= _awaitedBlocks + missing)
            {
                // Blocks given up already come free when the step in flight retires; nobody else has to go for them.
                _awaitedBlocks += missing;
                return false;
            }

            var victim = ChooseVictim();
            Preempt(victim);
            if (ReferenceEquals(victim, sequence))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Picks who gives up its blocks: always of the lowest rank that runs, so never for a lower one.</summary>
    /// <remarks>
    /// Cheapest first: fewest tokens to compute again per block freed. One that is old or was preempted often is passed over
    /// while another can go; among such the latest arrival goes, so the oldest always reaches its end.
    /// </remarks>
    private Sequence ChooseVictim()
    {
        var all = Running.All;
        var rank = all[^1].Rank;
        Sequence? cheapest = null;
        long cheapestTokens = 0;
        long cheapestBlocks = 0;
        for (var i = all.Length - 1; i >= 0 && all[i].Rank == rank; i--)
        {
            if (IsProtected(all[i]))
            {
                continue;
            }

            var shared = Ledger.SharedBlocks(all[i]);
            var tokens = Math.Max(0, all[i].Computed - ((long)shared * _geometry.BlockTokens));
            var blocks = all[i].BlockCount - shared;
            if (blocks > 0 && (cheapest is null || tokens * cheapestBlocks < cheapestTokens * blocks))
            {
                (cheapest, cheapestTokens, cheapestBlocks) = (all[i], tokens, blocks);
            }
        }

        return cheapest ?? all[^1];
    }

    private bool IsProtected(Sequence sequence) =>
        sequence.Stream.Timings.Preemptions >= _options.MaxPreemptions || _now - sequence.ArrivalTicks >= _ageLimitTicks;

    private void Preempt(Sequence victim)
    {
        _preempted = true;
        _budget += victim.Planned;
        _promptBudget += victim.Pending == 1 ? 0 : victim.Planned;
        victim.LostTokens = victim.Settled;
        LeaveSlot(victim);
        victim.Stream.Timings.Preemptions++;
        _counters.Preemptions++;
        Enqueue(victim);
    }

    private void EnterSlot(Sequence sequence)
    {
        Waiting.Dispatch(sequence);
        Running.Add(sequence);
        sequence.Phase = SequencePhase.Running;
        sequence.Run = ++_lastRun;
        sequence.EntersSlot = true;
        var timings = sequence.Stream.Timings;
        timings.RecomputedTokens += Math.Max(0, sequence.LostTokens - sequence.Computed);
        sequence.LostTokens = 0;
        _counters.CountPrefix(sequence);
        if (timings.Scheduled is null)
        {
            timings.Scheduled = new DateTimeOffset(_now, TimeSpan.Zero);
            timings.CachedPromptTokens = sequence.Computed;
            _counters.CachedPromptTokens += sequence.Computed;
            _counters.DispatchedPromptTokens += sequence.PromptLength;
            Waiting.Charge(sequence, sequence.PromptLength - Math.Min(sequence.Computed, sequence.PromptLength));
            sequence.ReleasePlace();
        }
    }

    private void LeaveSlot(Sequence sequence)
    {
        Ledger.Release(sequence);
        if (Running.Remove(sequence) < _cursor)
        {
            _cursor--;
        }

        sequence.Run = 0;
        sequence.Computed = sequence.Settled = sequence.Placeholders = sequence.Planned = 0;
        sequence.EntersSlot = false;
    }
}
