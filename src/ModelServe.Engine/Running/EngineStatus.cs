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
            StepTokens = counters.StepTokens,
            StepSeconds = counters.StepSeconds,
            LastProgress = new DateTimeOffset(counters.LastProgressTicks, TimeSpan.Zero),
            Failure = live.Failure,
            Draining = live.Draining,
            Pause = planner.Pause,
        };
}
