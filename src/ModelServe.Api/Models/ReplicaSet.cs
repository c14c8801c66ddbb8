using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Models;

/// <summary>The engines of one model, each with the whole model on a device of its own, behind one name. Thread-safe.</summary>
/// <remarks>
/// A call's requests go to the replica with the least work before it: prompt tokens that wait, tokens that the live requests will
/// still bring, and of the new prompt what the replica has probably not computed before, the more of it the fuller its cache. One
/// that is full or failed is passed over while another takes the call. Orders go to every replica that works. A set of one hands
/// everything on.
/// </remarks>
public sealed class ReplicaSet : IEngine
{
    /// <summary>What a live request will still cost, in tokens of a prompt; nobody knows how long it goes on, and it is the same for all.</summary>
    private const int TokensToCome = 128;

    /// <summary>A replica with work that gave no sign of life for so long is asked last; whether it is lost others decide.</summary>
    private static readonly TimeSpan Suspicious = TimeSpan.FromSeconds(5);

    private readonly IEngine[] _replicas;
    private readonly TimeProvider _time;
    private readonly Lock _admission = new();
    private readonly PrefixAffinity? _affinity;
    private readonly int[] _matched;
    private readonly long[] _costs;
    private int _turn;

    /// <summary>A set of at least one engine; their number in the list is the number that clients and metrics see.</summary>
    /// <param name="replicas">Engines of the same model, with the same vocabulary and longest sequence.</param>
    /// <param name="time">The clock of the engines; the system's if null.</param>
    /// <exception cref="ArgumentException">There is none, there are too many, or they differ.</exception>
    public ReplicaSet(IReadOnlyList<IEngine> replicas, TimeProvider? time = null)
    {
        if (replicas.Count is < 1 or > PrefixAffinity.MostReplicas)
        {
            throw new ArgumentException($"replicas: 1..{PrefixAffinity.MostReplicas}; got {replicas.Count}", nameof(replicas));
        }

        _replicas = [.. replicas];
        _time = time ?? TimeProvider.System;
        ExecutorGeometry first = _replicas[0].Geometry;
        if (Array.Find(_replicas, replica => Shape(replica.Geometry) != Shape(first)) is { } other)
        {
            throw new ArgumentException($"replicas: vocabulary, longest sequence and block size {Shape(first)} in all; got {Shape(other.Geometry)}", nameof(replicas));
        }

        Geometry = _replicas.Length == 1 ? first : first with
        {
            BlockCount = _replicas.Sum(replica => replica.Geometry.BlockCount - 1) + 1,
            MaxSequences = _replicas.Sum(replica => replica.Geometry.MaxSequences),
        };
        Drained = _replicas.Length == 1 ? _replicas[0].Drained : Task.WhenAll(_replicas.Select(replica => replica.Drained));
        _affinity = _replicas.Length == 1 ? null : new PrefixAffinity();
        (_matched, _costs) = (new int[_replicas.Length], new long[_replicas.Length]);
    }

    /// <summary>The engines, by number.</summary>
    public IReadOnlyList<IEngine> Replicas => _replicas;

    /// <inheritdoc/>
    /// <remarks>Blocks and slots are those of all replicas; one step is one replica's.</remarks>
    public ExecutorGeometry Geometry { get; }

    /// <inheritdoc/>
    public EngineStatus Status =>
        _replicas.Length == 1 ? _replicas[0].Status : EngineStatus.Together([.. _replicas.Select(replica => replica.Status)]);

    /// <inheritdoc/>
    /// <remarks>Null for several replicas, each of which keeps its own.</remarks>
    public KvEventLog? KvEvents => _replicas.Length == 1 ? _replicas[0].KvEvents : null;

    /// <inheritdoc/>
    public Task Drained { get; }

    private IEnumerable<IEngine> Working => _replicas.Where(replica => replica.Status.Failure is null);

    /// <inheritdoc/>
    public AdmissionResult Admit(GenerationRequest request)
    {
        TokenStream[] streams = new TokenStream[1];
        Rejection? rejection = AdmitAll([request], streams);
        return rejection is null ? AdmissionResult.Accepted(streams[0]) : AdmissionResult.Refused(rejection);
    }

    /// <inheritdoc/>
    public Rejection? AdmitAll(ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams) => AdmitAll(requests, streams, out _);

    /// <inheritdoc/>
    public bool Abort(string requestId, FinishReason reason) => Array.Exists(_replicas, replica => replica.Abort(requestId, reason));

    /// <inheritdoc/>
    public bool IsLive(string requestId) => Array.Exists(_replicas, replica => replica.IsLive(requestId));

    /// <inheritdoc/>
    /// <remarks>Of every replica that is in a step; ask one replica to spare the others.</remarks>
    public bool GiveUpStep(string reason)
    {
        var given = false;
        foreach (IEngine replica in _replicas)
        {
            given |= replica.GiveUpStep(reason);
        }

        return given;
    }

    /// <inheritdoc/>
    public void BeginDrain() => Array.ForEach(_replicas, replica => replica.BeginDrain());

    /// <inheritdoc/>
    public void EndAll(FinishReason reason) => Array.ForEach(_replicas, replica => replica.EndAll(reason));

    /// <inheritdoc/>
    public async Task<bool> PauseAsync(PauseMode mode, CancellationToken cancellationToken)
    {
        IEngine[] working = _replicas.Length == 1 ? _replicas : [.. Working];
        bool[] reached = await Task.WhenAll(working.Select(replica => replica.PauseAsync(mode, cancellationToken)));
        return working.Length > 0 && Array.TrueForAll(reached, still => still);
    }

    /// <inheritdoc/>
    public async Task<int> FlushPrefixCacheAsync(CancellationToken cancellationToken)
    {
        IEngine[] working = _replicas.Length == 1 ? _replicas : [.. Working];
        int[] blocks = await Task.WhenAll(working.Select(replica => replica.FlushPrefixCacheAsync(cancellationToken)));
        lock (_admission)
        {
            _affinity?.Clear();
        }

        return blocks.Sum();
    }

    /// <summary>Takes all requests of a call in, all by one replica, or none and says at once why.</summary>
    /// <param name="requests">At least one, of one prompt, tenant and tier.</param>
    /// <param name="streams">Receives the stream of each; of the same length.</param>
    /// <param name="placement">Which replica took or refused them.</param>
    internal Rejection? AdmitAll(ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams, out ReplicaPlacement placement)
    {
        if (_affinity is null)
        {
            placement = new ReplicaPlacement(0, _replicas[0].Status.Waiting);
            return _replicas[0].AdmitAll(requests, streams);
        }

        // One call at a time: names are unique over all replicas, and the next choice sees this one's work.
        lock (_admission)
        {
            foreach (GenerationRequest request in requests)
            {
                if (IsLive(request.RequestId))
                {
                    placement = default;
                    return new Rejection(RejectionReason.DuplicateRequest, "request_id", "a name no live request has", request.RequestId[..Math.Min(64, request.RequestId.Length)]);
                }
            }

            return AdmitWhereCheapest(requests, streams, _affinity, out placement);
        }
    }

    private Rejection? AdmitWhereCheapest(
        ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams, PrefixAffinity affinity, out ReplicaPlacement placement)
    {
        GenerationRequest request = requests[0];
        ReadOnlySpan<int> prompt = request.PromptTokenIds.Span;
        affinity.Match(request.BypassPrefixCache ? [] : prompt, request.CacheSalt, _matched);
        DateTimeOffset now = _time.GetUtcNow();
        EngineStatus[] statuses = [.. _replicas.Select(replica => replica.Status)];
        for (int i = 0; i < statuses.Length; i++)
        {
            _costs[i] = CostOf(statuses[i], prompt.Length, _matched[i], now);
        }

        // Equal ones take turns.
        _turn = (_turn + 1) % _replicas.Length;
        Rejection? refusal = null;
        placement = default;
        for (int tried = 0; tried < _replicas.Length; tried++)
        {
            int replica = Cheapest();
            var here = new ReplicaPlacement(replica, statuses[replica].Waiting);
            Rejection? rejection = _replicas[replica].AdmitAll(requests, streams);
            if (rejection is null)
            {
                if (!request.BypassPrefixCache)
                {
                    affinity.Remember(prompt, request.CacheSalt, replica);
                }

                placement = here;
                return null;
            }

            // What the cheapest says that works is what the client hears.
            if (refusal is null || refusal.Reason == RejectionReason.EngineFailed)
            {
                (refusal, placement) = (rejection, here);
            }

            if (!IsOfTheReplica(rejection.Reason))
            {
                break;
            }

            _costs[replica] = long.MaxValue;
        }

        return refusal;
    }

    private int Cheapest()
    {
        int best = _turn;
        for (int i = 1; i < _costs.Length; i++)
        {
            int replica = (_turn + i) % _costs.Length;
            best = _costs[replica] < _costs[best] ? replica : best;
        }

        return best;
    }

    private static long CostOf(EngineStatus status, int prompt, int matched, DateTimeOffset now)
    {
        // A full cache makes room by forgetting: what was computed will be computed again.
        long again = (long)prompt * status.BlocksInUse / Math.Max(1, status.BlockCount);
        long work = prompt - matched + again + status.WaitingTokens + ((long)(status.Running + status.Waiting) * TokensToCome);
        return status.Failure is not null || status.Draining ? long.MaxValue - 1
            : status.Running > 0 && status.Pause == PauseMode.None && now - status.LastProgress > Suspicious ? work + (1L << 40)
            : work;
    }

    /// <summary>Whether another replica may take what one refused for that reason.</summary>
    private static bool IsOfTheReplica(RejectionReason reason) => reason is RejectionReason.QueueFull or RejectionReason.QueuedTokensFull
        or RejectionReason.EngineFailed or RejectionReason.Draining or RejectionReason.WaitTooLong or RejectionReason.ExceedsCache;

    private static (int Vocabulary, int Longest, int BlockTokens) Shape(ExecutorGeometry geometry) =>
        (geometry.VocabularySize, geometry.MaxModelLength, geometry.BlockTokens);
}
