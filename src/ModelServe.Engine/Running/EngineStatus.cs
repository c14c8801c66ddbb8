using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Counts of one engine at one moment; a consistent enough snapshot for metrics and health, not for decisions.</summary>
public sealed record EngineStatus
{
    /// <summary>Requests that hold a slot.</summary>
    public int Running { get; init; }

    /// <summary>Requests that wait for a slot, new or preempted.</summary>
    public int Waiting { get; init; }

    /// <summary>Prompt tokens of the waiting requests.</summary>
    public long WaitingTokens { get; init; }

    /// <summary>Blocks that running sequences reference.</summary>
    public int BlocksInUse { get; init; }

    /// <summary>Blocks of the pool, without the null block.</summary>
    public int BlockCount { get; init; }

    /// <summary>Steps completed since start.</summary>
    public long Steps { get; init; }

    /// <summary>Prompt tokens accepted since start.</summary>
    public long PromptTokens { get; init; }

    /// <summary>Prompt tokens served from the prefix cache since start.</summary>
    public long CachedPromptTokens { get; init; }

    /// <summary>Tokens generated since start.</summary>
    public long GeneratedTokens { get; init; }

    /// <summary>Sequences preempted since start.</summary>
    public long Preemptions { get; init; }

    /// <summary>Tokens asked of the prefix index since start.</summary>
    public long PrefixQueries { get; init; }

    /// <summary>Tokens that the prefix index had since start.</summary>
    public long PrefixHits { get; init; }

    /// <summary>Times that slots and blocks were found missing while idle, and rebuilt.</summary>
    public long Healings { get; init; }

    /// <summary>Sequences that failed alone since start, because their logits were not finite or their constraint could not be followed.</summary>
    public long FailedSequences { get; init; }

    /// <summary>Steps since start for which the executor had no memory, so that what ran was computed again.</summary>
    public long ExhaustedSteps { get; init; }

    /// <summary>Tokens since start that a step was to choose and left to a later one, because their constraint was not ready.</summary>
    public long PostponedTokens { get; init; }

    /// <summary>Prompt tokens since start whose log probabilities were asked for and computed.</summary>
    public long ScoredTokens { get; init; }

    /// <summary>Tokens of each step since start; counts go on while they are read.</summary>
    public StepHistogram StepTokens { get; init; } = StepHistogram.Empty;

    /// <summary>Seconds of each step since start, from submission to settlement; counts go on while they are read.</summary>
    public StepHistogram StepSeconds { get; init; } = StepHistogram.Empty;

    /// <summary>The heartbeat: when the last step completed, when work came after a rest, or when the engine started.</summary>
    public DateTimeOffset LastProgress { get; init; }

    /// <summary>Why the engine serves no more, or null while it does.</summary>
    public string? Failure { get; init; }

    /// <summary>Whether new requests are refused because the server is stopping.</summary>
    public bool Draining { get; init; }

    /// <summary>Whether an operator made it stand still, and how.</summary>
    public PauseMode Pause { get; init; }

    /// <summary>Several engines of one model as one: sums, the latest sign of life, failed only when all have failed.</summary>
    /// <param name="parts">At least one.</param>
    public static EngineStatus Together(IReadOnlyList<EngineStatus> parts)
    {
        EngineStatus[] working = [.. parts.Where(part => part.Failure is null)];
        return new EngineStatus
        {
            Running = parts.Sum(part => part.Running),
            Waiting = parts.Sum(part => part.Waiting),
            WaitingTokens = parts.Sum(part => part.WaitingTokens),
            BlocksInUse = parts.Sum(part => part.BlocksInUse),
            BlockCount = parts.Sum(part => part.BlockCount),
            Steps = parts.Sum(part => part.Steps),
            PromptTokens = parts.Sum(part => part.PromptTokens),
            CachedPromptTokens = parts.Sum(part => part.CachedPromptTokens),
            GeneratedTokens = parts.Sum(part => part.GeneratedTokens),
            Preemptions = parts.Sum(part => part.Preemptions),
            PrefixQueries = parts.Sum(part => part.PrefixQueries),
            PrefixHits = parts.Sum(part => part.PrefixHits),
            Healings = parts.Sum(part => part.Healings),
            FailedSequences = parts.Sum(part => part.FailedSequences),
            ExhaustedSteps = parts.Sum(part => part.ExhaustedSteps),
            PostponedTokens = parts.Sum(part => part.PostponedTokens),
            ScoredTokens = parts.Sum(part => part.ScoredTokens),
            StepTokens = StepHistogram.Together([.. parts.Select(part => part.StepTokens)]),
            StepSeconds = StepHistogram.Together([.. parts.Select(part => part.StepSeconds)]),
            LastProgress = parts.Max(part => part.LastProgress),
            Failure = working.Length == 0 ? parts[0].Failure : null,
            Draining = working.Length > 0 && working.All(part => part.Draining),
            Pause = working.Length == 0 ? PauseMode.None : working.Max(part => part.Pause),
        };
    }

    /// <summary>Reads the counts of this moment. Any thread.</summary>
    internal static EngineStatus Of(StepPlanner planner, LiveRequests live, EngineCounters counters, ExecutorGeometry geometry) =>
        new()
        {
            Running = planner.Running.Count,
            Waiting = Math.Max(0, live.Count - planner.Running.Count),
            WaitingTokens = live.QueuedTokens,
            BlocksInUse = Math.Max(0, planner.Ledger.Pool.InUseCount),
            BlockCount = geometry.BlockCount - 1,
            Steps = counters.Steps,
            PromptTokens = counters.PromptTokens,
            CachedPromptTokens = counters.CachedPromptTokens,
            GeneratedTokens = counters.GeneratedTokens,
            Preemptions = counters.Preemptions,
            PrefixQueries = counters.PrefixQueries,
            PrefixHits = counters.PrefixHits,
            Healings = counters.Healings,
            FailedSequences = counters.FailedSequences,
            ExhaustedSteps = counters.ExhaustedSteps,
            PostponedTokens = counters.PostponedTokens,
            ScoredTokens = counters.ScoredTokens,
            StepTokens = counters.StepTokens,
            StepSeconds = counters.StepSeconds,
            // Before the time: who reads that it was told to go on reads a time that is not from before its pause.
            Pause = planner.Pause,
            LastProgress = new DateTimeOffset(counters.LastProgressTicks, TimeSpan.Zero),
            Failure = live.Failure,
            Draining = live.Draining,
        };
}
