using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Planning;

/// <summary>One request as the engine thread sees it: how far its tokens are known, computed and promised.</summary>
/// <remarks>
/// Known tokens are the prompt and every settled output. A placeholder is an output that a step in flight will produce.
/// Computed tokens are those fed to a submitted step, settled those whose step has retired:
/// settled ≤ computed ≤ known + placeholders. Thread: engine thread only, except the two inbox links.
/// </remarks>
internal sealed class Sequence : IHeapEntry<Sequence>
{
    private const int RanksOfTier = 4096;

    private QueueBudget? _queue;
    private int _ending;

    /// <summary>Makes a sequence that arrives.</summary>
    public Sequence(GenerationRequest request, int maxModelLength, Inbox inbox, QueueBudget queue)
    {
        _queue = queue;
        Request = request;
        Output = new OutputLog(request, maxModelLength);
        Stream = new RequestStream(this, inbox);
        PromptLength = request.PromptTokenIds.Length;
        StopTokenIds = [.. request.StopTokenIds];
        Rank = ((int)request.Tier * RanksOfTier) + (request.Tenant.Length == 0 ? request.Priority : 0);
        DeadlineTicks = request.Deadline?.UtcTicks ?? long.MaxValue;
    }

    /// <summary>What was asked for.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Where the reader waits.</summary>
    public RequestStream Stream { get; }

    /// <summary>Prompt and output tokens.</summary>
    public OutputLog Output { get; }

    /// <summary>Leading tokens that need not be computed where the prefix cache has them; fewer than are known while their logits are wanted.</summary>
    public int Skippable => Output.Scoring is { IsComplete: false } scoring ? scoring.Count : Known;

    /// <summary>Tokens of the prompt.</summary>
    public int PromptLength { get; }

    /// <summary>Ids that end the sequence.</summary>
    public int[] StopTokenIds { get; }

    /// <summary>UTC ticks after which no work is done; the largest value is never.</summary>
    public long DeadlineTicks { get; }

    /// <summary>Order of arrival at the engine thread, from 1 upward.</summary>
    public long Arrival { get; set; }

    /// <summary>When the engine thread first saw it, in UTC ticks.</summary>
    public long ArrivalTicks { get; set; }

    /// <summary>Where it stands.</summary>
    public SequencePhase Phase { get; set; }

    /// <summary>The slot while running, else -1.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>Number of its present stay in a slot, never used twice; 0 without a slot. A result for another run is stale.</summary>
    public long Run { get; set; }

    /// <summary>Place among its tenant's waiting sequences, or -1.</summary>
    public int HeapIndex { get; set; } = -1;

    /// <summary>Place in the list of all waiting sequences, or -1.</summary>
    public int WaitingIndex { get; set; } = -1;

    /// <summary>Whose it is; set when it first waits.</summary>
    public TenantQueue? Tenant { get; set; }

    /// <summary>Its tenant's share of the admission queue, while it has a place there.</summary>
    public TenantBacklogs.Backlog? Backlog { get; set; }

    /// <summary>Who keeps its blocks among those that run, higher first: the tier, and the priority where there are no tenants.</summary>
    /// <remarks>A tenant sets its priorities itself, so they order its own requests and count for nothing against others'.</remarks>
    public int Rank { get; }

    /// <summary>Tokens fed to submitted steps in this run, prefix hits included.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens whose step has retired in this run.</summary>
    public int Settled { get; set; }

    /// <summary>Outputs that steps in flight will produce.</summary>
    public int Placeholders { get; set; }

    /// <summary>Tokens that the step being planned feeds.</summary>
    public int Planned { get; set; }

    /// <summary>Whether the executor has yet to hear of this run.</summary>
    public bool EntersSlot { get; set; }

    /// <summary>Valid entries of its row in the block table.</summary>
    public int BlockCount { get; set; }

    /// <summary>Leading blocks that are behind <see cref="Chain"/>.</summary>
    public int ChainedBlocks { get; set; }

    /// <summary>How far its blocks are entered in the prefix index.</summary>
    public PrefixChain Chain { get; set; }

    /// <summary>The newest step that has a row of this run.</summary>
    public long LastStep { get; set; }

    /// <summary>Tokens computed in the run that preemption ended.</summary>
    public int LostTokens { get; set; }

    /// <summary>Next in the engine's list of arrivals.</summary>
    public Sequence? NextArrival { get; set; }

    /// <summary>Next in the engine's list of cancellations.</summary>
    public Sequence? NextCancellation { get; set; }

    /// <summary>Prompt and settled output, in tokens.</summary>
    public int Known => Output.Count;

    /// <summary>Output tokens that exist or are promised.</summary>
    public int Promised => Known + Placeholders - PromptLength;

    /// <summary>Tokens that could be fed now.</summary>
    public int Pending => Known + Placeholders - Computed;

    /// <summary>Whether a step in flight is sure to bring the last token.</summary>
    public bool EndsInFlight(int maxModelLength) =>
        Placeholders > 0 && (Promised >= Request.MaxTokens || Known + Placeholders >= maxModelLength);

    /// <summary>Whether the caller is the one who ends it; true once, whatever threads ask.</summary>
    public bool TryBeginEnding() => Interlocked.Exchange(ref _ending, 1) == 0;

    /// <summary>Gives back its place in the admission queue, once: at its first slot, or at its end if it never got one.</summary>
    public void ReleasePlace()
    {
        _queue?.Release(PromptLength);
        _queue = null;
        Backlog?.Remove(PromptLength);
        Backlog = null;
    }

    /// <summary>Whether this one, running, gets tokens before <paramref name="other"/>: higher rank, then earlier arrival.</summary>
    public bool Precedes(Sequence other) => Rank != other.Rank ? Rank > other.Rank : Arrival < other.Arrival;

    /// <inheritdoc />
    public bool ComesBefore(Sequence other) =>
        Request.Tier != other.Request.Tier ? Request.Tier > other.Request.Tier
        : Request.Priority != other.Request.Priority ? Request.Priority > other.Request.Priority
        : Arrival < other.Arrival;
}
