using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Sums since start. Written by the engine thread; read by others one value at a time.</summary>
/// <remarks>Each is an aligned 64-bit word, so that no reader sees half a number; together they are no snapshot.</remarks>
internal sealed class EngineCounters
{
    /// <summary>Steps settled.</summary>
    public long Steps { get; set; }

    /// <summary>Prompt tokens of arrivals.</summary>
    public long PromptTokens { get; set; }

    /// <summary>Prompt tokens that have left the queue for a first slot.</summary>
    public long DispatchedPromptTokens { get; set; }

    /// <summary>Prompt tokens found in the prefix cache at first admission.</summary>
    public long CachedPromptTokens { get; set; }

    /// <summary>Tokens generated.</summary>
    public long GeneratedTokens { get; set; }

    /// <summary>Sequences preempted.</summary>
    public long Preemptions { get; set; }

    /// <summary>Tokens asked of the prefix index.</summary>
    public long PrefixQueries { get; set; }

    /// <summary>Tokens that it had.</summary>
    public long PrefixHits { get; set; }

    /// <summary>Times that slots and blocks were rebuilt.</summary>
    public long Healings { get; set; }

    /// <summary>UTC ticks of the last settled step, of the first one submitted after a rest, or of the start.</summary>
    public long LastProgressTicks { get; set; }

    /// <summary>Tokens that a step was to choose and left to a later one, because their constraint was not ready.</summary>
    public long PostponedTokens { get; set; }

    /// <summary>Prompt tokens whose log probabilities were taken in.</summary>
    public long ScoredTokens { get; set; }

    /// <summary>Sequences that failed alone, because their logits were not finite or their constraint could not be followed.</summary>
    public long FailedSequences { get; set; }

    /// <summary>Steps for which the executor had no memory.</summary>
    public long ExhaustedSteps { get; set; }

    /// <summary>Tokens of each step: vLLM's bounds.</summary>
    public StepHistogram StepTokens { get; } = new(1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384);

    /// <summary>Seconds from submission to settlement of each step.</summary>
    public StepHistogram StepSeconds { get; } = new(
        .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60);

    /// <summary>Counts a step that has been settled.</summary>
    public void CountStep(int tokens, TimeSpan time)
    {
        StepTokens.Observe(tokens);
        StepSeconds.Observe(time.TotalSeconds);
    }

    /// <summary>Counts what the prefix index was asked for a sequence that just entered a slot.</summary>
    public void CountPrefix(Sequence sequence)
    {
        if (!sequence.Request.BypassPrefixCache && sequence.Skippable == sequence.Known)
        {
            PrefixQueries += sequence.Known;
            PrefixHits += sequence.Computed;
        }
    }
}
